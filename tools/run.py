"""Run the projects in the Procfile: `make run`.

This script starts the projects, restarts a project that crashes, and stops all projects together.
"""

import argparse
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools.check_machine import RUNNING, locked
from tools.local import ROOT, Local
from tools.projects import PORTS, TABLE
from tools.reloader import Reloader

RESTART_AFTER = 3.0  # seconds after a crash
READY_WITHIN = 60.0  # seconds within which all projects must be ready
STOP_WITHIN = 25.0  # seconds; gunicorn gives running requests 20 seconds to finish
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy could not reach 127.0.0.1


class Process:
    """A process that the Procfile lists, and that `watch` restarts after a crash."""

    def __init__(self, name: str, command: str, env: dict[str, str], say: Callable[[str, str], None]) -> None:
        self.name, self.command, self.env, self.say = name, command, env, say
        self.child: subprocess.Popen[str] | None = None
        self.restart_at: float | None = None

    def start(self) -> None:
        """Start the process in a new process group.

        So Ctrl-C in the terminal does not stop the process directly. `run` handles Ctrl-C and calls `stop`.
        """
        self.restart_at = None
        # A killed server may leave its pipe behind. Nothing writes to that pipe, so a reader would wait in vain.
        if pipe := self.env.get("RELOAD_PIPE"):
            Path(pipe).unlink(missing_ok=True)
        self.child = subprocess.Popen(
            # Run a module. An installed script would fail if the path of Python contains quotes or line breaks.
            [sys.executable, "-m", *self.command.split()],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._relay, args=(self.child,), daemon=True).start()

    def watch(self) -> None:
        """Report a crash, and restart the process after `RESTART_AFTER` seconds."""
        if self.restart_at and time.monotonic() >= self.restart_at:
            self.start()
        elif self.restart_at is None and self.crashed():
            self.kill()
            self.say("run", f"{self.name} crashed ({self.ending()}); restarting in {RESTART_AFTER:.0f} s")
            self.restart_at = time.monotonic() + RESTART_AFTER

    def crashed(self) -> bool:
        """Return whether the process was started and has exited."""
        return self.child is not None and self.child.poll() is not None

    def ending(self) -> str:
        """Return the exit code of the process, or the name of the signal that killed it."""
        code = self.child.returncode if self.child else 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def reload(self) -> None:
        """Send SIGHUP, so that gunicorn starts new workers and stops the old ones."""
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ask the process to stop, with SIGTERM."""
        if self.child and self.child.poll() is None:
            self.child.terminate()

    def kill(self) -> None:
        """Kill all processes of the process group that are still running."""
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def _relay(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.say(self.name, line.rstrip())


def procfile() -> dict[str, str]:
    """Return the commands in the Procfile, by project name."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return {name.strip(): command.strip() for name, _, command in (line.partition(":") for line in lines) if command}


def ready(url: str) -> bool:
    """Return whether the project at this URL is ready."""
    try:
        with DIRECT.open(f"{url}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def banner(local: Local) -> str:
    """Return the message that the user sees when all projects are ready.

    Its lines are shorter than 80 characters.
    """
    lines = (
        f"    {TABLE[name].title:<21} {local.url(name)}" for name in sorted(local.ports, key=lambda name: name != "web")
    )
    services = "\n".join(lines)
    reloads = "\n  A saved file is loaded without a restart." if local.pipes else ""
    return f"""
  Thoughts is running. Ctrl-C stops it; `make reset` deletes its data.

{services}
    Admin                 {local.url("users_api")}/admin/

  Log in as bruce, stephen or admin (staff); the password is the name.{reloads}
"""


def run(local: Local) -> int:
    """Run the projects until Ctrl-C or another signal, and return the exit code."""
    lock = threading.Lock()

    def say(name: str, line: str) -> None:
        with lock:
            print(f"{name:<12} | {line}", flush=True)

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())

    say("run", "preparing keys, databases and files …")
    try:
        local.prepare()
    except SystemExit:
        if stopping.is_set():  # Ctrl-C has also interrupted the commands that `prepare` runs
            return 0
        raise
    processes = [Process(name, command, local.environment(name), say) for name, command in procfile().items()]
    reloaders = [Reloader(process, local, say) for process in processes] if local.pipes else []
    try:
        for process in processes:
            process.start()
        waiting = {name: local.loopback(name) for name in local.ports}
        deadline = time.monotonic() + READY_WITHIN
        while waiting and not stopping.is_set():
            failed = next((process for process in processes if process.crashed()), None)
            late = time.monotonic() > deadline
            if failed or late:
                name = failed.name if failed else ", ".join(waiting)
                say("run", f"{name} did not start ({failed.ending() if failed else 'not ready in time'}).")
                return 1
            waiting = {name: url for name, url in waiting.items() if not ready(url)}
            stopping.wait(0.1)
        if not stopping.is_set():
            print(banner(local), flush=True)
            for reloader in reloaders:
                threading.Thread(target=reloader.run, args=(stopping,), daemon=True).start()
        while not stopping.wait(0.2):
            for process in processes:
                process.watch()
    finally:
        for process in processes:
            process.stop()
        deadline = time.monotonic() + STOP_WITHIN
        while time.monotonic() < deadline and not all(process.crashed() for process in processes if process.child):
            time.sleep(0.05)
        for process in processes:
            process.kill()
    return 0


def main() -> int:
    """Run the projects with the command-line options."""
    parser = argparse.ArgumentParser(prog="python -m tools.run", description=__doc__)
    parser.add_argument("--var", type=Path, default=ROOT / "var", help="the folder for keys, databases and files")
    parser.add_argument("--ports", type=int, nargs=len(PORTS), default=[*PORTS.values()], metavar=tuple(PORTS))
    parser.add_argument("--reload", action="store_true", help="load changed code without a restart")
    arguments = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal may not support every character
    var = arguments.var.resolve()
    var.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context((var / "lock").open("a+"))
        if not locked(lock):
            raise SystemExit(RUNNING)
        lock.truncate(0)
        print(*arguments.ports, file=lock, flush=True)  # for `make manage`
        ports = dict(zip(PORTS, arguments.ports, strict=True))
        pipes = stack.enter_context(tempfile.TemporaryDirectory(prefix="thoughts-")) if arguments.reload else None
        return run(Local(var, ports, pipes and Path(pipes)))


if __name__ == "__main__":
    sys.exit(main())
