"""Create or remove a Django project: `python -m tools.service make notes`.

tools/template contains a project `notes_api` with its manifests. `make service` copies these files and replaces `notes`
with the new name. A new project also needs lines in existing files, such as the Procfile. tools/template/inserts.toml
lists them.
"""

import argparse
import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.local import ROOT, is_deleted
from tools.projects import TABLE

TEMPLATE = ROOT / "tools" / "template"
INSERTS = TEMPLATE / "inserts.toml"
PORT = "8003"  # the port in the template, which the port of the new project replaces
# The longest name in Kubernetes is that of the Job, <name>-api-migrate-<tag>. It can have at most 63 characters (RFC
# 1123).
MAX_LENGTH = 30
# These names are reserved in PostgreSQL, YAML or compose.yaml. A service `tests` would have a model `Test`, and pytest
# would take that class for a test.
RESERVED = {"template0", "template1", "public", "none", "null", "true", "false", "yes", "no", "on", "off", "y", "n"}
RESERVED |= {"services", "tests"}


class Refused(Exception):
    """The command is refused.

    The message states the reason and the remedy in one line.
    """


@dataclass(frozen=True)
class Names:
    """The names and the port of a new service, which replace those of the template."""

    plural: str
    port: int
    model: str = ""

    @property
    def package(self) -> str:
        """Return the name of the package, which is also the name of its folder."""
        return f"{self.plural}_api"

    @property
    def data(self) -> str:
        """Return the SQLite file of the service."""
        return f"var/{self.plural}.sqlite3"

    def render(self, text: str) -> str:
        """Return a text from the template, with the names and the port of the service."""
        singular = re.sub(r"(?<!^)(?=[A-Z])", "_", self.model).lower()
        words = {
            "notes": self.plural,
            "Notes": self.plural.capitalize(),
            "NOTES": self.plural.upper(),
            "note": singular,
            "Note": self.model,
            PORT: str(self.port),
        }
        return re.sub(rf"[Nn]otes?|NOTES|{PORT}", lambda found: words[found[0]], text)

    def files(self) -> Iterator[tuple[Path, Path]]:
        """Yield each file of the template, with the path of its copy."""
        for file in sorted(TEMPLATE.rglob("*")):
            name = str(file.relative_to(TEMPLATE))
            if file.is_file() and file != INSERTS and file.suffix != ".pyc" and not is_deleted(name):
                yield file, ROOT / self.render(name)


@dataclass(frozen=True)
class Insert:
    """Lines that a service needs in an existing file, as inserts.toml lists them."""

    file: Path
    text: str
    before: str = ""
    times: int = 1

    @classmethod
    def of(cls, names: Names) -> list["Insert"]:
        """Return all inserts that the service with these names needs."""
        rows = [row for row in tomllib.loads(INSERTS.read_text())["insert"] if not is_deleted(row["file"])]
        return [cls(**{**row, "file": ROOT / row["file"], "text": names.render(row["text"])}) for row in rows]

    def insert(self, content: str) -> str:
        """Return the content of the file with the lines added.

        Raise `Refused` unless the file contains the text `before` exactly `times` times.
        """
        if not self.before:
            return f"{content}{self.text}"
        if content.count(self.before) != self.times:
            raise Refused(f"{self.name} must contain {self.before!r} {self.times} times. Update {INSERTS.name}.")
        return content.replace(self.before, f"{self.text}{self.before}")

    def remove(self, content: str) -> str:
        """Return the content of the file without the lines.

        Raise `Refused` if the lines are not in the file.
        """
        # Accept any tag of the image, because each release changes the tag.
        pattern = re.escape(self.text).replace("newTag:\\ v1", r"newTag: \S+")
        found, count = re.subn(f"(?m)^{pattern}", "", content)
        if count != self.times:
            raise Refused(
                f"{self.name} does not contain these lines, which `make service` added: {self.text.strip()!r}"
            )
        return found

    @property
    def name(self) -> str:
        """Return the path of the file, relative to the repository."""
        return str(self.file.relative_to(ROOT))


def make(name: str, model: str) -> Names:
    """Create a project, and return its names.

    If that is impossible, raise `Refused` without writing any file.
    """
    check_name(name)
    model = model or name.removesuffix("s").capitalize()
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", model) or keyword.iskeyword(model):
        raise Refused(f"{model!r} cannot be a model name. Use a noun in CamelCase, such as model=Note.")
    names = Names(name, 1 + max(project.port for project in TABLE.values()), model)
    if importlib.util.find_spec(names.package) or (ROOT / names.package).exists():
        raise Refused(f"The package {names.package} already exists. Choose another name.")
    for _, file in names.files():
        if file.exists():
            raise Refused(f"{file.relative_to(ROOT)} already exists. Remove it, or choose another name.")
    if (ROOT / names.data).exists():
        raise Refused(f"{names.data} contains data of an earlier service. Delete it, or choose another name.")
    changed = edited(Insert.insert, names)
    for source, file in names.files():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(names.render(source.read_text()))
        shutil.copymode(source, file)
    for file, content in changed.items():
        file.write_text(content)
    # Sort and format the code, because the new name changes the order of imports and the length of lines.
    ruff = str(Path(sys.executable).parent / "ruff")
    subprocess.run([ruff, "check", "--quiet", "--select=I", "--fix", names.package], cwd=ROOT, check=True)
    subprocess.run([ruff, "format", "--quiet", names.package], cwd=ROOT, check=True)
    return names


def check_name(name: str) -> None:
    """Raise `Refused` if this name for a service is invalid or already used."""
    usage = "Use lower-case letters and digits, starting with a letter: make service name=notes"
    if not re.fullmatch(r"[a-z][a-z0-9]*", name):
        raise Refused(f"{name!r} cannot be both a package name and a host name. {usage}")
    if len(name) > MAX_LENGTH:
        raise Refused(f"{name!r} is too long for names in Kubernetes. Choose up to {MAX_LENGTH} characters.")
    if keyword.iskeyword(name) or name in RESERVED:
        raise Refused(f"{name!r} is a reserved word. Choose another name.")
    for project in TABLE.values():
        if name in (project.package, project.service, project.host, project.database):
            raise Refused(f"{project.package} already uses the name {name!r}. Choose another name.")


def edited(edit: Callable[[Insert, str], str], names: Names) -> dict[Path, str]:
    """Insert or remove the lines of a service, and return the new contents by file.

    The function does not write these files. Raise `Refused` if a file cannot be edited.
    """
    contents: dict[Path, str] = {}
    for insert in Insert.of(names):
        contents[insert.file] = edit(insert, contents.get(insert.file) or insert.file.read_text())
    return contents


def remove(name: str) -> Names:
    """Remove a project that `make service` created, and return its names.

    If that is impossible, raise `Refused` without changing any file.
    """
    if f"{name}_api" not in TABLE:
        usage = f"projects.toml lists {', '.join(TABLE)}: make remove-service name=notes removes notes_api"
        raise Refused(f"There is no {name}_api. {usage}")
    names = Names(name, TABLE[f"{name}_api"].port)
    for file, content in edited(Insert.remove, names).items():
        file.write_text(content)
    for _, file in names.files():
        file.unlink(missing_ok=True)
    for folder in (names.package, f"k8s/base/{name}-api", f"k8s/components/postgres/{name}"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    return names


def main() -> None:
    """Create or remove a project, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.service", description=__doc__)
    parser.add_argument("action", choices=["make", "remove"])
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("model", nargs="?", default="")
    arguments = parser.parse_args()
    try:
        if arguments.action == "make":
            names = make(arguments.name, arguments.model)
            print(f"Made {names.package}. It listens on port {names.port} and starts with the others: make run")
        else:
            names = remove(arguments.name)
            kept = f" Its data is still in {names.data}." if (ROOT / names.data).exists() else ""
            print(f"Removed {names.package}.{kept}")
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
