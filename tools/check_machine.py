"""Says in one line what this machine lacks, before anything is made. Old Pythons must be able to read this."""

import os
import socket
import sys

PORTS = {8000: "thoughts_api", 8001: "users_api", 8002: "web"}


def lack():
    """Return what to do first, or None."""
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
    return taken_port() if "--ports" in sys.argv else None


def taken_port():
    """Return what to do about a port that is taken, or None."""
    for port, project in PORTS.items():
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return "Port %d, which %s needs, is taken: end what listens there, then try again." % (port, project)
        finally:
            probe.close()
    return None


if __name__ == "__main__":
    missing = lack()
    if missing:
        sys.stderr.write(missing + "\n")
        sys.exit(1)
