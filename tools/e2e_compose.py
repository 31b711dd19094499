"""Start and test the services of compose.yaml: `make e2e-compose`.

The script gives the services separate volumes, so the data of `docker compose up` stays unchanged.
"""

import os
import subprocess
import sys

from tools import check_machine, chromium, e2e
from tools.cluster import docker
from tools.projects import PORTS

PROJECT = "thoughts-e2e"


def main() -> None:
    """Start the containers, test them, and stop them. Delete their volumes at the end."""
    if problem := check_machine.taken_port(PORTS):
        raise e2e.Failed(f"{problem}.")
    chromium.find_or_install()
    program = docker()
    # Tell Compose which version of its API the Docker Engine supports. By default, Compose uses the newest version that
    # Compose knows, which the engine may not support.
    version = subprocess.run(
        [program, "version", "--format", "{{.Server.APIVersion}}"], capture_output=True, text=True, check=True
    )
    os.environ["DOCKER_API_VERSION"] = version.stdout.strip()
    compose = (program, "compose", "--file=compose.yaml", f"--project-name={PROJECT}")
    if subprocess.run([program, "compose", "version"], capture_output=True, check=False).returncode:
        raise e2e.Failed("Docker Compose is missing. Install it: https://docs.docker.com/compose/install/")
    try:
        with e2e.step("docker compose up"):
            e2e.run(*compose, "up", "--build", "--detach", "--wait", "--quiet-pull", DOCKER_BUILDKIT="1")
        thoughts, users, web = (f"http://localhost:{PORTS[name]}" for name in ("thoughts_api", "users_api", "web"))
        e2e.test(thoughts=thoughts, users=users, web=web)
    except e2e.Failed:
        e2e.run(*compose, "logs", "--tail=40")
        raise
    finally:
        e2e.run(*compose, "down", "--volumes", "--remove-orphans")


if __name__ == "__main__":
    try:
        main()
    except e2e.Failed as error:
        sys.exit(str(error))
