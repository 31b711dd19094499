"""Where the keys are stored: a folder, or a Kubernetes Secret."""

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"
TIMEOUT = 10  # seconds


class StoreError(Exception):
    """The keys cannot be read or written. The message is one line."""


class Store(Protocol):
    """A set of files by name."""

    def read(self) -> dict[str, bytes]:
        """Return all files. Raise `StoreError` if that fails."""

    def write(self, files: dict[str, bytes]) -> None:
        """Replace the files that `read` returned. Raise `StoreError` if that fails."""


class Folder:
    """Files in a folder. Only the owner of the files may read them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, bytes]:
        """Return the keys and the state of the rotation."""
        try:
            return {file.name: file.read_bytes() for file in self._files()}
        except OSError as error:
            raise StoreError(f"The keys cannot be read: {error}") from None

    def write(self, files: dict[str, bytes]) -> None:
        """Write the files, the signing key last, and then delete all other files.

        In this order, a key that is published both before and after the change is never missing in between.
        """
        try:
            for name in sorted(files, key=lambda name: name == "signing.pem"):
                self._write(self._path / name, files[name])
            for file in self._files():
                if file.name not in files:
                    file.unlink()
        except OSError as error:
            raise StoreError(f"The keys cannot be written: {error}") from None

    def _files(self) -> list[Path]:
        return [*self._path.glob("*.pem"), *self._path.glob("rotation.json")]

    def _write(self, file: Path, content: bytes) -> None:
        unfinished = file.with_suffix(".unfinished")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
        unfinished.replace(file)


class Secret:
    """A Secret in this pod's namespace.

    The pod's service account needs the verbs `get` and `update`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._manifest: dict[str, Any] = {}

    def read(self) -> dict[str, bytes]:
        """Return the values of the Secret."""
        self._manifest = self._call("GET")
        return {name: base64.b64decode(value) for name, value in self._manifest.get("data", {}).items()}

    def write(self, files: dict[str, bytes]) -> None:
        """Replace the values.

        Kubernetes refuses the request if the Secret has changed since `read`.
        """
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        self._manifest = self._call("PUT", {**self._manifest, "data": data})

    def _call(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            namespace, token = ((ACCOUNT / name).read_text() for name in ("namespace", "token"))
            request = urllib.request.Request(  # noqa: S310 - the URL is a constant
                f"{API}/api/v1/namespaces/{namespace}/secrets/{self._name}",
                method=method,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                data=json.dumps(body).encode() if body else None,
            )
            context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as response:  # noqa: S310
                found: dict[str, Any] = json.load(response)
                return found
        except urllib.error.HTTPError as error:
            raise StoreError(f"Kubernetes answers {error.code} for the Secret {self._name}: {error.reason}") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"The Secret {self._name} is not accessible: {error}") from None
