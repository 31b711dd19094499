"""Prints the Secrets of the local overlay: `python -m tools.cluster_secrets | kubectl apply -f -`.

Keys and passwords are made once, in var/cluster, and stay the same from then on: the databases' volumes know them.
"""

import json
import secrets

from tools.kubectl import NAMESPACE
from tools.local import ROOT, Local, write_secret

FOLDER = ROOT / "var" / "cluster"


def manifests() -> list[dict[str, object]]:
    """Make what is missing and return all Secrets."""
    Local(FOLDER, {}).make_secrets()
    keys = FOLDER / "keys"
    passwords = {}
    for database in ("users", "thoughts"):
        file = keys / f"{database}.password"
        if not file.exists():
            write_secret(file, secrets.token_urlsafe(24).encode())
        passwords[database] = file.read_text()
    urls = {
        database: f"postgresql://{database}:{password}@{database}-postgres/{database}"
        for database, password in passwords.items()
    }
    return [
        _secret("users-api", SECRET_KEY=(keys / "users_api.secret").read_text(), DATABASE_URL=urls["users"]),
        _secret("users-api-keys", **{"signing.pem": (keys / "signing.pem").read_text()}),
        _secret("thoughts-api", DATABASE_URL=urls["thoughts"]),
        _secret("web", SECRET_KEY=(keys / "web.secret").read_text()),
        _secret("users-postgres", password=passwords["users"]),
        _secret("thoughts-postgres", password=passwords["thoughts"]),
    ]


def _secret(name: str, **values: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": values,
    }


def as_json() -> str:
    """Return them as one document for kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests()})


if __name__ == "__main__":
    print(as_json())
