"""Code that uses a private method of environs.

`common/tests/test_compat.py` fails if a new release of environs changes that method.
"""

from typing import Any

import environs


class FileEnv(environs.FileAwareEnv):
    """Environment whose variables may also come from files.

    For example, `SECRET_KEY_FILE` is the path of a file that contains the value of SECRET_KEY. If the file is
    unreadable, the process exits with a message. environs itself would raise ValueError, which its deferred validation
    (`seal`) does not collect: https://github.com/sloria/environs/pull/424
    """

    def _get_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except ValueError as error:
            raise SystemExit(f"Invalid environment. {error}") from None
