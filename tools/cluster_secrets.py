"""Print the Secrets of the local overlay: `python -m tools.cluster_secrets`.

To create the Secrets, pipe the output to `kubectl apply -f -`. The first run creates keys and passwords in var/cluster.
Later runs print the same ones, because each database keeps the password that it was created with.
"""

import json
import secrets

from tools.kubectl import NAMESPACE
from tools.local import ROOT, Local, write_secret
from tools.projects import WITH_DATABASE

FOLDER = ROOT / "var" / "cluster"


def manifests() -> list[dict[str, object]]:
    """Return the manifests of all Secrets.

    Create the keys and passwords that do not exist yet.
    """
    Local(FOLDER, {}).make_secrets()
    keys = FOLDER / "keys"
    made = {
        "users-api": {"SECRET_KEY": (keys / "users_api.secret").read_text()},
        "users-api-keys": {"signing.pem": (keys / "signing.pem").read_text()},
        "web": {"SECRET_KEY": (keys / "web.secret").read_text()},
    }
    for project in WITH_DATABASE:
        file = keys / f"{project.database}.password"
        if not file.exists():
            write_secret(file, secrets.token_urlsafe(24).encode())
        password = file.read_text()
        url = f"postgresql://{project.database}:{password}@{project.postgres}/{project.database}"
        made[project.postgres] = {"password": password}
        made[project.service] = {**made.get(project.service, {}), "DATABASE_URL": url}
    return [secret(name, **values) for name, values in made.items()]


def secret(name: str, **values: str) -> dict[str, object]:
    """Return a Secret with these values, as a manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": values,
    }


def as_json() -> str:
    """Return all Secrets as one JSON document, which kubectl can apply."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests()})


if __name__ == "__main__":
    print(as_json())
