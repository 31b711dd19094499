"""Check the requirements of `make`, and print the first problem and its remedy.

This file must also run on old Pythons, because it tells their users to install a newer one.
"""

import errno
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
            "Python 3.11 or newer is required; this is %d.%d. Name a newer one: `make PYTHON=python3.13 ...`."
            % (sys.version_info[:2])
        )
    if os.pathsep in os.getcwd():
        # In PATH and PYTHONPATH, a colon separates folders. Python's venv refuses such a folder.
        return "The path of this folder contains a colon (%r). Move the folder." % os.getcwd()
    if not os.access(".", os.W_OK):
        return (
            "This folder is read-only. make stores packages and data in it. Copy it to a folder that you can write to."
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
        return "ports must be %d different numbers from 1 to 65535 (%s): %s" % (len(own), ", ".join(own), others)
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
        code = bind_error(ports[project])
        if code == errno.EACCES:
            return "Only root may open port %d (%s). Choose a port from 1024" % (ports[project], project)
        if code:
            return "Port %d (%s) is in use. Stop the other program" % (ports[project], project)
    return None


def bind_error(port):
    """Return 0 if a port is free on this machine, else the error number (errno).

    `localhost` is 127.0.0.1 or ::1, so the port must be free on both.
    """
    addresses = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    if sys.platform == "darwin":  # macOS lets one program listen on all addresses, and another on 127.0.0.1
        addresses += [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104
    for family, address in addresses:
        try:
            probe = socket.socket(family)
        except OSError:
            continue  # this machine has no IPv6
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return error.errno
        finally:
            probe.close()
    return 0


def locked(file):
    """Try to lock an open file, and return whether this succeeded.

    `make run` locks var/lock while it runs, so another process cannot. The file lists the ports of the services.
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
