"""Test how `make run` starts, restarts and stops projects, and reports errors.

`make run` restarts a project after a crash.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tools.local import PROJECTS, ROOT
from tools.manage import ports
from tools.projects import PORTS
from tools.system import System, answers, children, free_ports, outage, start, stop, within

TIMEOUT = 10


def test_banner_lists_addresses_and_logins_in_80_columns(own: System) -> None:
    assert own.log
    assert within(60, lambda: "the password is the name." in own.log.read_text())
    text = own.log.read_text()
    banner = text[text.index("Thoughts is running") :].split("\n\n  Log in as")[0]
    for url in (own.web, own.thoughts, own.users, f"{own.users}/admin/"):
        assert url in banner
    assert "Log in as bruce, stephen or admin (staff); the password is the name." in text
    assert all(len(line) < 80 for line in banner.splitlines())


def test_keys_are_readable_only_by_their_owner(own: System) -> None:
    assert own.log
    keys = own.log.parent / "keys"
    assert {path.name for path in keys.iterdir()} == {"signing.pem", "users_api.secret", "web.secret"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {0o600}
    assert subprocess.run(["git", "check-ignore", "-q", "var/keys/signing.pem"], cwd=ROOT, check=False).returncode == 0


def logged(log: Path, before: int, line: str) -> bool:
    """Return whether the log contains this text after the first `before` characters."""
    return line in log.read_text()[before:]


@pytest.mark.parametrize("projects", [["thoughts_api"], ["users_api"], ["thoughts_api", "users_api"]])
def test_crashed_project_is_reported_and_restarted_while_pages_still_render(own: System, projects: list[str]) -> None:
    assert own.log
    before = len(own.log.read_text())
    urls = {"thoughts_api": own.thoughts, "users_api": own.users}
    with outage(own, *projects):
        search = requests.get(f"{own.web}/search?search=tea", timeout=TIMEOUT)
        assert search.status_code == (503 if "thoughts_api" in projects else 200)
        assert "<nav" in search.text
        login_page = requests.get(f"{own.web}/login/", timeout=TIMEOUT)
        assert login_page.status_code == 200

    for project in projects:
        assert within(60, partial(logged, own.log, before, f"{project} crashed (SIGKILL)"))
    assert all(within(60, partial(answers, f"{urls[project]}/readyz")) for project in projects)
    assert requests.get(f"{own.web}/search?search=tea", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize(
    ("line", "status", "keys"),
    [
        (b"GET /api/thoughts/?search=" + b"a" * 10_000, b"414", ["message"]),
        ("GET /api/thoughts/?search=größer".encode(), b"400", ["message", "errors"]),
    ],
)
def test_requests_that_gunicorn_or_django_refuse_get_the_usual_error_body(
    own: System, line: bytes, status: bytes, keys: list[str]
) -> None:
    address = urlsplit(own.thoughts)
    with socket.create_connection((address.hostname, address.port or 80), TIMEOUT) as client:
        client.sendall(line + b" HTTP/1.1\r\nHost: " + address.netloc.encode() + b"\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert list(json.loads(body)) == keys


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_port_in_use_is_reported_in_one_line_and_no_file_is_created(
    tmp_path: Path, family: socket.AddressFamily, address: str
) -> None:
    copy = bare_copy(tmp_path)
    with socket.socket(family) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((address, 8001))
            taken.listen()
        except OSError:
            pass  # another program already uses the port, which is enough for this test
        done = make_run(copy)
    assert done.returncode != 0
    assert re.match(r"Port 800\d \(\w+\) is in use\. .+", done.stderr)
    assert_nothing_made(copy, done)


@pytest.mark.parametrize("numbers", ["9000", "9000 9001 http", "9000 9001 9001", "9000 9001 99999"])
def test_invalid_ports_are_reported_in_one_line_and_no_file_is_created(tmp_path: Path, numbers: str) -> None:
    copy = bare_copy(tmp_path)
    done = make_run(copy, ports=numbers)
    assert re.match(
        rf"ports must be {len(PROJECTS)} different numbers from 1 to 65535 \({', '.join(PROJECTS)}\): "
        r'make run ports="9000 9001 9002( \d+)*"\n',
        done.stderr,
    )
    assert_nothing_made(copy, done)


def test_data_of_a_running_system_cannot_be_reset_or_used_by_another_system(own: System, tmp_path: Path) -> None:
    assert own.log
    copy = bare_copy(tmp_path)
    (copy / "var").symlink_to(own.log.parent)
    command = [
        sys.executable,
        "-m",
        "tools.run",
        f"--var={own.log.parent}",
        "--ports",
        *map(str, free_ports(len(PROJECTS))),
    ]
    for done in (
        subprocess.run(["make", "reset"], cwd=copy, capture_output=True, text=True, check=False),
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False),
    ):
        assert done.returncode != 0
        assert done.stderr.startswith("Thoughts is running from this folder. Stop it first: ")
    assert answers(f"{own.web}/readyz")
    assert (own.log.parent / "thoughts.sqlite3").exists()


def test_folder_with_a_colon_is_reported_in_one_line_and_no_file_is_created(tmp_path: Path) -> None:
    copy = bare_copy(tmp_path / "a:b")
    done = make_run(copy)
    assert done.stderr.startswith("The path of this folder contains a colon ")
    assert_nothing_made(copy, done)


def test_incomplete_venv_is_recreated_despite_pip_settings(tmp_path: Path) -> None:
    copy = bare_copy(tmp_path)
    python = Path(sys.executable).resolve()
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to(python)
    for project in PROJECTS:
        (copy / project).mkdir()
        (copy / project / "requirements.txt").touch()
    (copy / ".venv" / "pyvenv.cfg").write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\nrequire-virtualenv = true\n")
    environment = os.environ | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_TARGET": "/missing"}
    subprocess.run([sys.executable, "tools/install.py", "run"], cwd=copy, env=environment, check=True, timeout=120)
    subprocess.run([copy / ".venv" / "bin" / "pip", "--version"], check=True)
    assert (copy / ".venv" / "run.installed").exists()


def test_old_python_is_reported_in_one_line_and_no_file_is_created(tmp_path: Path) -> None:
    copy = bare_copy(tmp_path)
    pretend(copy, "import sys; sys.version_info = (3, 9, 18)")
    done = make_run(copy, PYTHON=f"{sys.executable} -S pretend.py")
    assert done.stderr.startswith("Python 3.11 or newer is required; this is 3.9.")
    assert_nothing_made(copy, done)


def test_missing_venv_module_is_reported_in_one_line(tmp_path: Path) -> None:
    copy = bare_copy(tmp_path)
    pretend(copy, "import sys; sys.modules['ensurepip'] = None")
    done = make_run(copy, PYTHON=f"{sys.executable} -S pretend.py")
    assert done.stderr.startswith("Python's venv module is missing.")
    assert_nothing_made(copy, done)


def test_ctrl_c_stops_all_processes(tmp_path: Path) -> None:
    system = start(tmp_path)
    assert system.process
    started = children(system.process.pid)
    assert len(started) == len(PROJECTS)
    workers = [pid for parent in started for pid in children(parent)]
    system.process.send_signal(signal.SIGINT)
    assert system.process.wait(timeout=30) == 0
    for pid in [*started, *workers]:
        assert not Path(f"/proc/{pid}").exists()
    assert not answers(f"{system.web}/healthz")


def test_services_call_each_other_without_a_proxy(tmp_path: Path) -> None:
    log = tmp_path / "log"
    proxy = f"http://127.0.0.1:{free_ports(1)[0]}"
    system = start(tmp_path, http_proxy=proxy, HTTP_PROXY=proxy, NO_PROXY="elsewhere.example", no_proxy="")
    try:
        assert within(60, lambda: "Thoughts is running" in log.read_text())
        account = {"username": "bruce", "password": "bruce"}
        login = requests.post(f"{system.users}/api/login/", json=account, timeout=TIMEOUT).json()
        own = {"url": f"{system.thoughts}/api/me/thoughts/", "headers": {"Authorization": login["Authorized"]}}
        # thoughts_api has fetched the keys from users_api, without the proxy.
        assert requests.get(**own, timeout=TIMEOUT).status_code == 200
        assert requests.get(f"{system.web}/search", timeout=TIMEOUT).status_code == 200
    finally:
        stop(system)


def test_ctrl_c_during_the_preparation_exits_quietly(tmp_path: Path) -> None:
    ports = ["--ports", *map(str, free_ports(len(PROJECTS)))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.run", f"--var={tmp_path}", *ports],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert within(30, lambda: len(children(process.pid)) == len(PROJECTS))
    # Send the signal to all processes, as a terminal does.
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "run          | preparing keys, databases and files …\n")
    assert not Path(f"/proc/{process.pid}").exists()


def test_system_starts_in_a_folder_with_special_characters_despite_exported_variables(tmp_path: Path) -> None:
    var = tmp_path / """a #?%20'"$ü\n-"""
    foreign = {
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONWARNINGS": "error",
        "DATABASE_URL_FILE": "/missing",
        "ALLOWED_HOSTS": "example.org",
        "GUNICORN_CMD_ARGS": "--bind=192.0.2.1:1",
        "RELOAD": "true",
        "STATIC_HASHED": "maybe",
        "DJANGO_SETTINGS_MODULE": "missing",
    }
    # Start the system twice, because static files have different names with DEBUG.
    for environment in (foreign | {"DEBUG": "true"}, foreign):
        system = start(var, **environment)
        try:
            assert requests.get(f"{system.web}/login/", timeout=TIMEOUT).status_code == 200
            assert requests.get(f"{system.thoughts}/api/thoughts/", timeout=TIMEOUT).json()
        finally:
            stop(system)
    assert {"thoughts.sqlite3", "users.sqlite3"} <= {file.name for file in var.iterdir()}


def test_make_manage_uses_the_ports_of_the_running_system(own: System) -> None:
    assert own.log
    urls = {"thoughts_api": own.thoughts, "users_api": own.users, "web": own.web}
    assert ports(own.log.parent) == {project: urlsplit(url).port for project, url in urls.items()}


def test_ports_of_a_stopped_system_are_those_in_projects_toml(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1 2 3\n")
    assert ports(tmp_path) == PORTS


def test_invalid_environment_is_reported_in_one_line_that_names_the_variable(tmp_path: Path) -> None:
    for project, name, value in [
        ("thoughts_api", "DATABASE_URL", "mysql://somewhere"),
        ("users_api", "TOKENS_KEYS", str(tmp_path / "missing")),
        ("users_api", "SECRET_KEY", None),
        ("web", "THOUGHTS_BACKEND_URL", "thoughts-api"),
        ("web", "USER_BACKEND_URL", None),
        ("web", "SECRET_KEY", ""),
        ("web", "CSRF_TRUSTED_ORIGINS", "example.org"),
        ("users_api", "LOGIN_FAILURES_PER_NAME", "-3"),
        ("thoughts_api", "WRITES_PER_MINUTE", "0"),
        ("thoughts_api", "WRITES_PER_DAY", "many"),
        ("thoughts_api", "TOKENS_JWKS", ""),
        ("thoughts_api", "WEB_CONCURRENCY", "0"),
        ("thoughts_api", "THREADS", "many"),
        ("thoughts_api", "DATABASE_REPLICA_URL", "sqlite:///file"),
        ("users_api", "MAX_PODS", "some"),
        ("thoughts_api", "PORT", "http"),
    ]:
        environment = {
            "PATH": os.environ["PATH"],
            "PORT": "0",
            "SECRET_KEY": "only for this test",
            "TOKENS_KEYS": str(tmp_path),
            "TOKENS_JWKS": "http://127.0.0.1:1/",
            "THOUGHTS_BACKEND_URL": "http://127.0.0.1:1",
            "USER_BACKEND_URL": "http://127.0.0.1:1",
        }
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
        command = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", f"{project}.wsgi"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if " INFO " not in line]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("Invalid environment.")
        assert name in lines[0]


def test_management_port_in_use_aborts_startup_and_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "HOST": "127.0.0.1",
            "PORT": "0",
            "MANAGEMENT_PORT": str(port),
            "WEB_CONCURRENCY": "1",
            "SECRET_KEY": "only for this test",
            "THOUGHTS_BACKEND_URL": "http://127.0.0.1:1",
            "USER_BACKEND_URL": "http://127.0.0.1:1",
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "web.wsgi"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode != 0
    assert done.stderr.count("Invalid environment.") == 1
    assert f"Invalid environment. MANAGEMENT_PORT: 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def bare_copy(folder: Path) -> Path:
    """Copy only the files that `make run` reads before it installs anything.

    Return the folder of the copy.
    """
    copy = folder / "copy"
    (copy / "tools").mkdir(parents=True)
    for name in ("Makefile", "projects.toml"):
        shutil.copy(ROOT / name, copy)
    for name in ("check_machine.py", "install.py"):
        shutil.copy(ROOT / "tools" / name, copy / "tools")
    return copy


def pretend(copy: Path, statement: str) -> None:
    """Write pretend.py, which runs `statement` and then a script.

    For example, the statement can change the Python version that the script sees.
    """
    (copy / "pretend.py").write_text(
        f"{statement}; import runpy; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )


def make_run(copy: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `make run` with these variables in the copy, and return the result."""
    options = [f"{name}={value}" for name, value in variables.items()]
    environment = {"PATH": os.environ["PATH"], "HOME": str(copy)}
    return subprocess.run(
        ["make", "run", *options], cwd=copy, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def assert_nothing_made(copy: Path, done: "subprocess.CompletedProcess[str]") -> None:
    """Assert that one line was printed, and that no file was created.

    The line that make itself prints does not count.
    """
    assert len([line for line in done.stderr.splitlines() if not line.startswith("make: ***")]) == 1
    assert {path.name for path in copy.iterdir()} <= {"Makefile", "projects.toml", "tools", "pretend.py"}
    assert not (copy / ".venv").exists()
