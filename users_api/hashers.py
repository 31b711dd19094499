"""How passwords are stored."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# A process has one CPU for itself, so two at a time would both take twice as long, and twice the memory.
_one_at_a_time = threading.Lock()


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's first choice for 19 MiB of memory; Django's default takes 100 MiB a login.

    https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash to store; waits for its turn in this process."""
        with _one_at_a_time:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether it is the password of a hash; waits for its turn in this process."""
        with _one_at_a_time:
            return super().verify(password, encoded)
