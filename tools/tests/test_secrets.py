"""No tracked file contains a secret."""

import re
import subprocess

import pytest

from tools.local import ROOT

# This pattern matches private keys, tokens with a known form, long passwords in URLs, and long random values after a
# name such as "password". It does not match short values, such as the passwords in tests and examples.
SECRET = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*(?:\\n)?[A-Za-z0-9+/=]{16}"
    rb"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22}|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10}"
    rb"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"
    rb"|\b[a-z]+://[^\s/:@{}$<>\"']+:[^\s/:@{}$<>\"']{12,}@"
    rb"|(?i:secret|password|token|api_?key)\w*[\"']?\s*[:=]\s*[\"']?(?=[\w+/-]*\d)(?=[\w+/-]*[a-zA-Z])[A-Za-z0-9+/_-]{32,}"
)


def test_tracked_files_contain_no_secret() -> None:
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert len(files) > 100
    found = {str(file): match[0] for file in files if (match := SECRET.search(file.read_bytes()))}
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "eyJ" + "hbGciOiJSUzI1NiJ9.eyJ" + "1c2VybmFtZSI6ImJydWNlIn0." + "x" * 40,
        "postgresql://users:" + "hunter2hunter2@postgres.internal/users",
        "SECRET_KEY = '" + "rWm3vTq9Zk1xYc7bNp5sLd2fGh8jQe4u'",
    ],
)
def test_pattern_finds_secrets(text: str) -> None:
    assert SECRET.search(text.encode())
