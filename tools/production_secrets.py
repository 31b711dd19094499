"""Print the Secrets of the production overlay: `make production-secrets`.

The database URLs come from variables such as USERS_DATABASE_URL, and the certificates from a folder with `<host>.crt`
and `<host>.key` for each project, such as `frontend.crt`. Each run generates new keys, and does not store them. So pipe
the output to `kubectl create`, which refuses to replace an existing Secret.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from tools import cluster_secrets
from tools.local import secret_key, signing_key
from tools.projects import SERVICES, WITH_DATABASE


def manifests(certificates: Path) -> list[dict[str, object]]:
    """Return all Secrets.

    Raise SystemExit with one line if a variable or a certificate is missing.
    """
    made = {
        "users-api": {"SECRET_KEY": secret_key().decode()},
        "users-api-keys": {"signing.pem": signing_key().decode()},
        "web": {"SECRET_KEY": secret_key().decode()},
    }
    for project in WITH_DATABASE:
        variable = f"{str(project.database).upper()}_DATABASE_URL"
        if not (url := os.environ.get(variable)):
            raise SystemExit(f"{variable} is not set. Set it to the URL of the database of {project.package}.")
        made[project.service] = {**made.get(project.service, {}), "DATABASE_URL": url}
    secrets = [cluster_secrets.secret(name, **values) for name, values in made.items()]
    for service, project in SERVICES.items():
        try:
            files = {f"tls.{kind}": (certificates / f"{project.host}.{kind}").read_text() for kind in ("crt", "key")}
        except OSError as error:
            raise SystemExit(f"The certificate of {service} is missing: {error}") from None
        secrets.append({**cluster_secrets.secret(f"{service}-tls", **files), "type": "kubernetes.io/tls"})
    return secrets


def main() -> None:
    """Print the Secrets as one document."""
    parser = argparse.ArgumentParser(prog="python -m tools.production_secrets", description=__doc__)
    parser.add_argument("certificates", type=Path, help="folder of the certificates")
    items = manifests(parser.parse_args().certificates)
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)


if __name__ == "__main__":
    main()
