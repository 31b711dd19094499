"""Prepare the system to run without a cluster.

This module prepares environment variables, keys, databases and files.
"""

import compileall
import hashlib
import os
import py_compile
import re
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.settings import sqlite
from tools.projects import TABLE

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = tuple(TABLE)
# A user of this repository may delete these files and folders. README.md describes how.
OPTIONAL = ("bench", "compose.yaml", "k8s", "Tiltfile", "tilt_modules", ".github")
WRONG = "Invalid environment."
# Only these exported variables are passed to the services: variables of the system, and settings for experiments. Other
# variables, such as DATABASE_URL_FILE, PYTHONWARNINGS or GUNICORN_CMD_ARGS, may be meant for another program.
PASSED = (
    *("HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("DEBUG", "FAULTS", "LOG_LEVEL", "SESSION_DAYS", "SESSION_IDLE_DAYS", "SIGN_UPS_PER_ADDRESS"),
    *("LOGIN_FAILURES_PER_NAME", "LOGIN_FAILURES_PER_ADDRESS", "LOGIN_FAILURES_PER_ACCOUNT"),
    *("WRITES_PER_MINUTE", "WRITES_PER_DAY", "LOG_FORMAT"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_SCHEDULE_DELAY"),
    *("SENTRY_DSN", "SENTRY_ENVIRONMENT"),
)
_RUN_COMMANDS = """
import sys
import django
from django.core.management import call_command
django.setup()
for command in sys.argv[1:]:
    call_command(*command.split())
"""


def is_deleted(path: str) -> bool:
    """Return whether this path is, or is below, a deleted path of `OPTIONAL`.

    `path` is relative to the repository.
    """
    top = path.partition("/")[0]
    return top in OPTIONAL and not (ROOT / top).exists()


@dataclass(frozen=True)
class Local:
    """An instance of the system on this machine.

    Each instance has a folder for its files, and a port for each project. If `pipes` is a folder, the projects run in
    development mode. Each project then has a named pipe in that folder, which tells whether its changed code loads
    (`common/server/reload.py`).
    """

    var: Path
    ports: dict[str, int]
    pipes: Path | None = None

    def url(self, project: str) -> str:
        """Return the URL of a project, without a trailing slash."""
        return f"http://localhost:{self.ports[project]}"

    def environment(self, project: str) -> dict[str, str]:
        """Return the environment variables for the processes of a project."""
        own = {
            "users_api": {
                "SECRET_KEY": self._secret("users_api"),
                "TOKENS_KEYS": str(self.var / "keys"),
                "SIGN_UP": "open",
            },
            "thoughts_api": {"THREADS": "5"},
            "web": {
                "SECRET_KEY": self._secret("web"),
                "THOUGHTS_BACKEND_URL": self.loopback("thoughts_api"),
                "USER_BACKEND_URL": self.loopback("users_api"),
                "THOUGHTS_PUBLIC_URL": self.url("thoughts_api"),
                "USERS_PUBLIC_URL": self.url("users_api"),
                "ADMIN_PUBLIC_URL": self.url("users_api"),
                "SIGN_UP": "open",
            },
        }.get(project, {})
        if project.endswith("_api"):
            own["WEB_PUBLIC_URL"] = self.url("web")
        if project.endswith("_api") and project != "users_api":
            own["USERS_PUBLIC_URL"] = self.url("users_api")
            own["TOKENS_JWKS"] = f"{self.loopback('users_api')}/.well-known/jwks.json"
        if database := TABLE[project].database:
            own["DATABASE_URL"] = sqlite(self.var / f"{database}.sqlite3")
        shared = {
            "HOST": "127.0.0.1",
            "PORT": str(self.ports[project]),
            "WEB_CONCURRENCY": "1",
            "MANAGEMENT_PORT": "0",  # no management port, so the public port serves probes too
            "STATIC_ROOT": str(self.var / "static" / project),
            "FAULTS_PATH": str(self.fault_file(project)),
            "DJANGO_SETTINGS_MODULE": f"{project}.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",  # in every locale
            "no_proxy": "127.0.0.1,localhost",  # the projects call only each other, without a proxy
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        development = {"RELOAD": "true", "RELOAD_PIPE": str(self.pipe(project)), "FAULTS": "true"} if self.pipes else {}
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        return {**passed, **shared, **development, **own}

    def pipe(self, project: str) -> Path:
        """Return the named pipe that tells whether a project's changed code loads."""
        assert self.pipes
        return self.pipes / project

    def fault_file(self, project: str) -> Path:
        """Return the path of the file with a project's simulated fault (`make fault`)."""
        return self.var / "faults" / project

    def prepare(self) -> None:
        """Create missing keys, secrets, database tables, sample data and static files.

        Also end the faults that `make fault` started.
        """
        self.make_secrets()
        for project in PROJECTS:
            self.fault_file(project).unlink(missing_ok=True)
        if self.pipes:
            compile_code()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._prepare_project, PROJECTS))

    def manage(self, project: str, *commands: str) -> None:
        """Run Django commands of a project.

        All run in one process, because Django takes a second to start.
        """
        done = subprocess.run(
            [sys.executable, "-c", _RUN_COMMANDS, *commands],
            cwd=ROOT,
            env=self.environment(project),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            output = f"{done.stdout}{done.stderr}".strip()
            raise SystemExit(
                f"{project}: {output}"
                if output.startswith(WRONG)
                else f"{project}: {', '.join(commands)} failed.\n{output}"
            )

    def _prepare_project(self, project: str) -> None:
        commands = ["migrate --verbosity=0", "load_sample_data"] if TABLE[project].database else []
        if self.pipes:  # in development mode, the services serve static files from the source tree
            if commands:
                self.manage(project, *commands)
            return
        state = _static_state(self.environment(project))
        stamp = self.var / "static" / f"{project}.state"
        if not stamp.exists() or stamp.read_text() != state:
            stamp.unlink(missing_ok=True)
            commands.append("collectstatic --no-input --clear --verbosity=0")
        if commands:
            self.manage(project, *commands)
            stamp.write_text(state)

    def make_secrets(self) -> None:
        """Create the signing key and the secret keys, unless they exist.

        Only the owner of the files can read them.
        """
        keys = self.var / "keys"
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (keys / "signing.pem").exists():
            write_secret(keys / "signing.pem", signing_key())
        for project in ("users_api", "web"):
            if not (keys / f"{project}.secret").exists():
                write_secret(keys / f"{project}.secret", secret_key())

    def _secret(self, project: str) -> str:
        return (self.var / "keys" / f"{project}.secret").read_text()

    def loopback(self, project: str) -> str:
        """Return the URL at which other projects call this one.

        The URL has an IP address, because `localhost` can resolve to several addresses.
        """
        return f"http://127.0.0.1:{self.ports[project]}"


def without_settings() -> dict[str, str]:
    """Return the environment of this process without the projects' settings.

    The result also lacks the variables of OpenTelemetry and of the Prometheus client. The user may have exported a
    setting, such as a port, for another program. Tests must not use it.
    """
    files = [file for folder in ("common", *PROJECTS) for file in (ROOT / folder).rglob("*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    names = {*re.findall(r'\b(?:env\.\w+|environ\.get|flag|number|text)\("([A-Z_]+)"', text)}
    return {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in names and not name.startswith(("OTEL_", "PROMETHEUS_"))
    }


def signing_key() -> bytes:
    """Generate an RSA private key, and return it as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def secret_key() -> bytes:
    """Generate a value for Django's SECRET_KEY."""
    return secrets.token_urlsafe(50).encode()


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read.

    The function writes to a temporary file, then renames that file. So no process ever reads an incomplete file.
    """
    unfinished = path.with_suffix(".unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)


def compile_code() -> None:
    """Compile the projects and `common` for development, as the Dockerfile does.

    Python then detects changed files by their hashes. By default, Python compares modification times in seconds, and
    would miss a second edit in the same second.
    """
    for app in ("common", *PROJECTS):
        compileall.compile_dir(ROOT / app, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def _static_state(environment: dict[str, str]) -> str:
    """Return a digest of the files and settings that `collectstatic` depends on.

    The digest covers the static files, and also the lock files, because installed packages contain static files too.
    """
    static = [file for app in ("common", *PROJECTS) for file in (ROOT / app / "static").rglob("*")]
    files = [file for file in (*static, *ROOT.glob("*/requirements.txt")) if file.is_file()]
    digest = hashlib.sha256(environment.get("DEBUG", "").encode())
    for file in sorted(files):
        digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size}\n".encode() + file.read_bytes())
    return digest.hexdigest()
