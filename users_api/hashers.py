"""Hash passwords with Argon2id."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# Hashing two passwords at once on one CPU is no faster than one after the other, and needs twice the memory.
_one_at_a_time = threading.Lock()


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id with parameters that OWASP recommends.

    Hashing a password needs 19 MiB of memory. With Django's default parameters, it needs 100 MiB.

    https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a password. Wait while another thread is hashing."""
        with _one_at_a_time:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether a password matches a hash. Wait while another thread is hashing."""
        with _one_at_a_time:
            return super().verify(password, encoded)
