"""A private method of environs. `common/tests/test_compat.py` fails when a release changes it."""

from typing import Any

import environs


class FileEnv(environs.FileAwareEnv):
    """Environment in which any variable may be in a file: `SECRET_KEY_FILE` names the file with SECRET_KEY.

    An unreadable file ends the process. environs raises ValueError instead, and its deferred validation (`seal`)
    does not collect that: https://github.com/sloria/environs/pull/424
    """

    def _get_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except ValueError as error:
            raise SystemExit(f"Invalid environment. {error}") from None
