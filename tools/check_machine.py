"""Says in one line what this machine lacks, before anything is made. Old Pythons must be able to read this."""

import os
import socket
import sys

RUNNING = "Thoughts is running from this folder: end it first, with Ctrl-C where `make run` was typed."


def lack(ports=None):
    """Return what to do first, or None; ports are numbers as text, one for each project, or none for their own."""
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
    own = own_ports()
    others = 'make run ports="%s"' % " ".join(str(9000 + number) for number in range(len(own)))
    if ports and (len(set(ports)) != len(own) or not all(each.isdigit() and 0 < int(each) < 65536 for each in ports)):
        return "ports must be %d different numbers from 1 to 65535: %s" % (len(own), others)
    taken = taken_port(dict(zip(own, map(int, ports))) if ports else own)  # noqa: B905
    return taken and "%s, or take others: %s" % (taken, others)


def own_ports():
    """Return the port of each project in projects.toml."""
    import tomllib  # which older Pythons do not have

    with open("projects.toml", "rb") as file:
        return {package: project["port"] for package, project in tomllib.load(file).items()}


def taken_port(ports):
    """Return what to do about the first of these projects' ports that is taken, or None."""
    for project in sorted(ports):
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", ports[project]))
        except OSError:
            return "Port %d, which %s needs, is taken: end what listens there" % (ports[project], project)
        finally:
            probe.close()
    return None


def locked(file):
    """Return whether this process now has the lock of an open file, which `make run` holds while it runs."""
    import fcntl  # which not every system has

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def running():
    """Return what to do first while `make run` uses the folder of this tree, or None."""
    if not os.path.exists("var/lock"):
        return None
    with open("var/lock") as file:
        return None if locked(file) else RUNNING


if __name__ == "__main__":
    missing = running() if "--ended" in sys.argv else lack(sys.argv[2:] if "--ports" in sys.argv else None)
    if missing:
        sys.stderr.write(missing + "\n")
        sys.exit(1)
