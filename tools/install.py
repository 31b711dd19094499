"""Install locked packages into .venv: `python3 tools/install.py run`.

This script imports only the standard library.

A stamp in .venv contains a digest of the installed lock files. If a lock file changes, the packages are installed
again. If the folder was moved or copied, or its Python is missing, .venv is created again.
"""

import ast
import hashlib
import os
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# These pip settings say where packages come from. The user's other pip settings are meant for other projects.
SOURCES = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "keyring-provider"),
    *("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir"),
)


def locks(name: str, root: Path = ROOT) -> list[Path]:
    """Return the lock files of a set of packages: run, dev or locust."""
    if name == "run":
        return [root / project / "requirements.txt" for project in tomllib.loads(_read(root / "projects.toml"))]
    return [root / {"dev": "requirements-dev.txt", "locust": "tools/requirements-bench.txt"}[name]]


def stamp(name: str, root: Path = ROOT) -> Path:
    """Return the file with the digest of the installed lock files."""
    return _venv(name, root) / f"{name}.installed"


def digest(name: str, root: Path = ROOT) -> str:
    """Return a digest of the lock files.

    Unlike a modification time, the digest stays the same if git or `cp` writes the same content again.
    """
    return hashlib.sha256(b"".join(file.read_bytes() for file in locks(name, root))).hexdigest()


def usable(venv: Path) -> bool:
    """Return whether this folder contains a usable virtual environment.

    The environment must have been created in this folder, and its Python must have pip. A copy made by `cp -r` still
    refers to the original folder. After a system upgrade, the Python of an environment may be missing.
    """
    python, settings = venv / "bin" / "python", venv / "pyvenv.cfg"
    if not python.exists() or f" {venv.resolve()}\n" not in _read(settings):
        return False
    return subprocess.run([python, "-I", "-c", "import pip"], capture_output=True, check=False).returncode == 0


def install(name: str) -> None:
    """Install a set of packages, unless its stamp says that they are installed.

    Raise SystemExit with the output of pip if that fails.
    """
    venv = _venv(name)
    there = usable(venv)
    if there and stamp(name).exists() and _read(stamp(name)) == digest(name):
        return
    files = locks(name)
    count = len({line.split("==")[0] for file in files for line in _read(file).splitlines() if line[:1].isalnum()})
    with Progress(f"Installing {count} packages") as progress:
        if not there:
            create(venv)
        stamp(name).unlink(missing_ok=True)
        python = venv / "bin" / "python"
        options = ["--require-hashes", "--progress-bar=off", *(f"--requirement={file}" for file in files)]
        code, output = progress.watch(pip(python, "install", *options), sources(python))
    if code:
        raise SystemExit(output)
    stamp(name).write_text(digest(name), encoding="utf-8")


def create(venv: Path) -> None:
    """Create an empty virtual environment. Replace an existing one.

    Raise SystemExit if that fails.
    """
    if venv.is_symlink():
        venv = venv.resolve()  # venv refuses to clear a symbolic link
    command = [sys.executable, "-I", "-m", "venv", "--clear", str(venv)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Python could not create {venv}.\n{done.stdout}")


def pip(python: Path | str, *arguments: str) -> list[str]:
    """Return the command that runs pip.

    Run this command in the environment that `sources` returns.
    """
    return [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]


def sources(python: Path | str) -> dict[str, str]:
    """Return an environment in which pip uses the user's package index.

    Of the user's settings for pip, the environment contains only those in `SOURCES`. Another setting could break the
    installation: with `user = true` in pip.conf, pip would refuse a virtual environment.

    Raise SystemExit if pip cannot read its configuration.
    """
    listed = subprocess.run(pip(python, "config", "list"), capture_output=True, text=True, check=False)
    if listed.returncode:
        raise SystemExit(f"pip cannot read its configuration.\n{listed.stderr.strip()}")
    settings: dict[str, dict[str, str]] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        settings.setdefault(section, {})[key] = ast.literal_eval(value)
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the last has precedence
        found |= {key: value for key, value in settings.get(section, {}).items() if key in SOURCES}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    variables = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in found.items()}
    return {**kept, **variables, "PIP_CONFIG_FILE": os.devnull}


class Progress:
    """A message on stderr that counts packages and seconds.

    The counts show that a slow installation is not stuck.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.found = 0
        self.terminal = sys.stderr.isatty()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Progress":
        """Print the title, and start to count."""
        self._write(f"{self.title} into .venv, which takes a minute or two the first time\n")
        self.start = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to count."""
        self.ended.set()
        self.thread.join()
        if self.terminal:
            self._write("\n")

    def watch(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run pip and count its packages. Return its exit code and its output."""
        lines = []
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip())
                self.found += line.startswith(("Collecting ", "Requirement already satisfied"))
        return process.returncode, "\n".join(lines)

    def _show(self) -> None:
        while not self.ended.wait(0.5 if self.terminal else 10):
            line = f"{self.title}: {self.found} found, {time.monotonic() - self.start:.0f} s"
            self._write(f"\r{line} " if self.terminal else f"{line}\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _venv(name: str, root: Path = ROOT) -> Path:
    # locust needs a separate environment, because it installs Brotli. If Brotli is installed, WhiteNoise spends minutes
    # compressing static files.
    return root / ".venv" / name if name == "locust" else root / ".venv"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


if __name__ == "__main__":
    install(sys.argv[1])
