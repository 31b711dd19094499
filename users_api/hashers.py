"""The password hasher."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# Two concurrent hashes on one CPU take twice as long and twice the memory.
_one_at_a_time = threading.Lock()


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters for 19 MiB of memory. Django's default needs 100 MiB.

    https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash to store. Wait for other hashes in this process."""
        with _one_at_a_time:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Check a password against a hash. Wait for other hashes in this process."""
        with _one_at_a_time:
            return super().verify(password, encoded)
