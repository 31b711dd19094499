"""Create the secrets of compose.yaml: `python -m tools.compose_secrets FOLDER`.

Run this command in a container, as root. The command keeps existing secrets, because new ones would invalidate all
tokens and forms signed with the old ones.
"""

import os
import sys
from pathlib import Path

from tools.local import secret_key, signing_key, write_secret

USER = 10001  # the id of the user that the containers run as
SECRETS = {
    "users-api/signing.pem": signing_key,
    "users-api/SECRET_KEY": secret_key,
    "web/SECRET_KEY": secret_key,
}


def main(folder: Path) -> None:
    """Create the secrets that do not exist yet.

    Only the user that the containers run as can read them.
    """
    for name, make in SECRETS.items():
        path = folder / name
        if not path.exists():
            write_secret(path, make())
        os.chown(path, USER, USER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
