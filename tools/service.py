"""Make a Django project from tools/template, or remove it: `python -m tools.service make notes`.

The template is the project `notes_api`, with its manifests. Its files are copied with the new name in place of `notes`.
tools/template/inserts.toml has the lines for files that exist already.
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

from tools.local import ROOT
from tools.projects import TABLE

TEMPLATE = ROOT / "tools" / "template"
INSERTS = TEMPLATE / "inserts.toml"
PORT = "8003"  # in the template
# The Job is called <name>-api-migrate-<tag>; a name in Kubernetes is a DNS label of up to 63 characters (RFC 1123).
MAX_LENGTH = 30
# PostgreSQL, YAML and compose.yaml have a use of their own for these.
RESERVED = {"template0", "template1", "public", "none", "null", "true", "false", "yes", "no", "on", "off", "y", "n"}
RESERVED |= {"services"}


class Refused(Exception):
    """The command cannot be done; the message says why, in one line."""


@dataclass(frozen=True)
class Names:
    """What the words of the template become."""

    plural: str
    port: int
    model: str = ""

    @property
    def package(self) -> str:
        """The folder of the project."""
        return f"{self.plural}_api"

    def render(self, text: str) -> str:
        """Return a text of the template with these names."""
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
        """Yield each file of the template with the file that it becomes."""
        for file in sorted(TEMPLATE.rglob("*")):
            if file.is_file() and file != INSERTS and file.suffix != ".pyc":
                yield file, ROOT / self.render(str(file.relative_to(TEMPLATE)))


@dataclass(frozen=True)
class Insert:
    """Lines of a service in a file, as inserts.toml has them."""

    file: Path
    text: str
    before: str = ""
    times: int = 1

    @classmethod
    def of(cls, names: Names) -> list["Insert"]:
        """Return the lines of a service in all files."""
        rows = tomllib.loads(INSERTS.read_text())["insert"]
        return [cls(**{**row, "file": ROOT / row["file"], "text": names.render(row["text"])}) for row in rows]

    def insert(self, content: str) -> str:
        """Return the content of the file with the lines; `Refused` where their place is not found."""
        if not self.before:
            return f"{content}{self.text}"
        if content.count(self.before) != self.times:
            raise Refused(f"{self.name} does not have {self.before!r} {self.times} times. Change {INSERTS.name} too.")
        return content.replace(self.before, f"{self.text}{self.before}")

    def remove(self, content: str) -> str:
        """Return the content of the file without the lines; `Refused` where they are not found."""
        # A release changes the tag of the image.
        pattern = re.escape(self.text).replace("newTag:\\ v1", r"newTag: \S+")
        found, count = re.subn(f"(?m)^{pattern}", "", content)
        if count != self.times:
            raise Refused(f"{self.name} does not have these lines as `make service` wrote them: {self.text!r}")
        return found

    @property
    def name(self) -> str:
        """The path of the file in the repository."""
        return str(self.file.relative_to(ROOT))


def make(name: str, model: str) -> Names:
    """Make a project and return its names; `Refused` before anything is written."""
    check_name(name)
    model = model or name.removesuffix("s").capitalize()
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", model) or keyword.iskeyword(model):
        raise Refused(f"{model!r} cannot be the name of a model. Use a noun in CamelCase, such as model=Note.")
    names = Names(name, 1 + max(project.port for project in TABLE.values()), model)
    if importlib.util.find_spec(names.package) or (ROOT / names.package).exists():
        raise Refused(f"There is a package {names.package} already. Choose another name.")
    for _, file in names.files():
        if file.exists():
            raise Refused(f"{file.relative_to(ROOT)} exists already. Remove it, or choose another name.")
    changed = edited(Insert.insert, names)
    for source, file in names.files():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(names.render(source.read_text()))
        shutil.copymode(source, file)
    for file, content in changed.items():
        file.write_text(content)
    # The order of imports and the length of lines depend on the name.
    ruff = str(Path(sys.executable).parent / "ruff")
    subprocess.run([ruff, "check", "--quiet", "--select=I", "--fix", names.package], cwd=ROOT, check=True)
    subprocess.run([ruff, "format", "--quiet", names.package], cwd=ROOT, check=True)
    return names


def check_name(name: str) -> None:
    """Raise `Refused` for a name that no service can have."""
    usage = "Choose lower-case letters and digits, a letter first: make service name=notes"
    if not name:
        raise Refused(f"The service has no name. {usage}")
    if not re.fullmatch(r"[a-z][a-z0-9]*", name):
        raise Refused(f"{name!r} cannot be the name of a package and of a host. {usage}")
    if len(name) > MAX_LENGTH:
        raise Refused(f"{name!r} is too long for names in Kubernetes. Choose up to {MAX_LENGTH} characters.")
    if keyword.iskeyword(name) or name in RESERVED:
        raise Refused(f"{name!r} is a reserved word. Choose another name.")
    for project in TABLE.values():
        if name in (project.package, project.service, project.host, project.database):
            raise Refused(f"{project.package} uses the name {name!r} already. Choose another name.")


def edited(edit: Callable[[Insert, str], str], names: Names) -> dict[Path, str]:
    """Return the new content of each file that has lines of a service; `Refused` before anything is written."""
    contents: dict[Path, str] = {}
    for insert in Insert.of(names):
        contents[insert.file] = edit(insert, contents.get(insert.file) or insert.file.read_text())
    return contents


def remove(name: str) -> Names:
    """Remove a project that `make` made and return its names; `Refused` before anything is changed."""
    if f"{name}_api" not in TABLE:
        usage = f"projects.toml lists {', '.join(TABLE)}: make remove-service name=notes removes notes_api"
        raise Refused(f"There is no {name}_api. {usage}" if name else f"The service has no name. {usage}")
    names = Names(name, TABLE[f"{name}_api"].port)
    for file, content in edited(Insert.remove, names).items():
        file.write_text(content)
    for _, file in names.files():
        file.unlink(missing_ok=True)
    for folder in (names.package, f"k8s/base/{name}-api", f"k8s/components/postgres/{name}"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    return names


def main() -> None:
    """Read the command line, and make or remove."""
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
            print(f"Removed {remove(arguments.name).package}.")
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
