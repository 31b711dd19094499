"""Says in one line what this machine lacks, before anything is made. Old Pythons must be able to read this."""

import os
import socket
import sys

PORTS = {"thoughts_api": 8000, "users_api": 8001, "web": 8002}
OTHERS = 'make run ports="9000 9001 9002"'


def lack(ports=None):
    """Return what to do first, or None; ports are numbers as text, for each project in turn, none for PORTS."""
    if sys.version_info < (3, 11):
        return (
            "Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.13 (or another that you have) ..."
            % (sys.version_info[:2])
        )
    if not os.path.exists(".venv/bin/python"):
        try:
            import ensurepip  # noqa: F401
            import venv  # noqa: F401
        except ImportError:
            return "Python's venv module is missing: install it first (on Debian and Ubuntu: apt install python3-venv)."
    if ports is None:
        return None
    if not ports:
        return taken_port()
    if len(set(ports)) != len(PORTS) or not all(each.isdigit() and 0 < int(each) < 65536 for each in ports):
        return "ports must be %d different numbers from 1 to 65535: %s" % (len(PORTS), OTHERS)
    return taken_port({project: int(port) for project, port in zip(PORTS, ports)})  # noqa: B905


def taken_port(ports=PORTS):
    """Return what to do about a port that is taken, or None."""
    for project in sorted(ports):
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", ports[project]))
        except OSError:
            return "Port %d, which %s needs, is taken: end what listens there, or take others: %s" % (
                ports[project],
                project,
                OTHERS,
            )
        finally:
            probe.close()
    return None


def running(var="var"):
    """Return what to do first while `make run` uses this folder, or None."""
    lock = os.path.join(var, "lock")
    if os.path.exists(lock):
        import fcntl

        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return "Thoughts is running from this folder: end it first, with Ctrl-C where `make run` was typed."
    return None


if __name__ == "__main__":
    missing = running() if "--ended" in sys.argv else lack(sys.argv[2:] if "--ports" in sys.argv else None)
    if missing:
        sys.stderr.write(missing + "\n")
        sys.exit(1)
