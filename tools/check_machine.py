"""Check the requirements of `make`, and print the first that is not met, with its remedy.

This file must also run on old Pythons, because it tells their users to install a newer one.
"""

import os
import socket
import sys

RUNNING = "Thoughts is running from this folder. Stop it first: press Ctrl-C in the terminal of `make run`."


def problem(ports=None):
    """Return a message with the first problem and its remedy, or None.

    `ports` lists the ports to check, as text, one for each project. If the list is empty, the ports of projects.toml
    are checked. If `ports` is None, no ports are checked.
    """
    if sys.version_info < (3, 11):
        return (
            "Python 3.11 or newer is required; this is %d.%d. Run `make PYTHON=python3.13 ...` with a newer one."
            % (sys.version_info[:2])
        )
    if not os.path.exists(".venv/bin/python"):
        try:
            import ensurepip  # noqa: F401
            import venv  # noqa: F401
        except ImportError:
            return "Python's venv module is missing. Install it (on Debian and Ubuntu: apt install python3-venv)."
    if ports is None:
        return None
    own = own_ports()
    others = 'make run ports="%s"' % " ".join(str(9000 + number) for number in range(len(own)))
    if ports and (len(set(ports)) != len(own) or not all(each.isdigit() and 0 < int(each) < 65536 for each in ports)):
        return "ports must be %d different numbers from 1 to 65535: %s" % (len(own), others)
    taken = taken_port(dict(zip(own, map(int, ports))) if ports else own)  # noqa: B905
    return taken and "%s, or run: %s" % (taken, others)


def own_ports():
    """Return the port of each project, as projects.toml lists them."""
    import tomllib  # missing in Python 3.10

    with open("projects.toml", "rb") as file:
        return {package: project["port"] for package, project in tomllib.load(file).items()}


def taken_port(ports):
    """Return a message with the first port that is in use and the remedy, or None."""
    for project in sorted(ports):
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", ports[project]))
        except OSError:
            return "Port %d (%s) is in use. Stop the other program" % (ports[project], project)
        finally:
            probe.close()
    return None


def locked(file):
    """Try to lock an open file, and return whether this succeeded.

    `make run` locks var/lock while it runs, so another process cannot.
    """
    import fcntl  # missing on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def running():
    """Return a message if `make run` is running in this folder, or None."""
    if not os.path.exists("var/lock"):
        return None
    with open("var/lock") as file:
        return None if locked(file) else RUNNING


if __name__ == "__main__":
    missing = running() if "--ended" in sys.argv else problem(sys.argv[2:] if "--ports" in sys.argv else None)
    if missing:
        sys.stderr.write(missing + "\n")
        sys.exit(1)
