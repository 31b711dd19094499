"""Call kubectl in one context and in the namespace of this project."""

import json
import shutil
import subprocess
from typing import Any

NAMESPACE = "example"
TIMEOUT = 300  # seconds


class KubectlError(Exception):
    """kubectl failed. The message contains the error output of kubectl."""


class Kubectl:
    """kubectl with a fixed context and namespace.

    Example: `Kubectl("kind-kind")("get", "pods")`.
    """

    def __init__(self, context: str | None = None, namespace: str = NAMESPACE) -> None:
        self.command = ["kubectl", *([f"--context={context}"] if context else []), f"--namespace={namespace}"]

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl with `given` as standard input, and return the output.

        Raise `KubectlError` if kubectl fails.
        """
        if not shutil.which("kubectl"):
            raise KubectlError("kubectl is not on the PATH.")
        done = subprocess.run(
            [*self.command, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run kubectl with `--output=json`, and return the parsed output."""
        return json.loads(self(*arguments, "--output=json"))


def is_ready(pod: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    """Return whether a pod is ready."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
