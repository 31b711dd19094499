"""Find words that this repository does not use: `python -m tools.words`, or with files and folders after it.

tools/words.toml lists the words, and what to write instead.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

from tools.local import ROOT

FILE = ROOT / "tools" / "words.toml"
WORDS: dict[str, str] = tomllib.loads(FILE.read_text())
COVERED = [
    "README.md",
    "CHANGELOG.md",
    "Dockerfile",
    "Makefile",
    "compose.yaml",
    "pyproject.toml",
    "docs",
    "common",
    "thoughts_api",
    "users_api",
    "web",
    "tools",
    "bench",
    "e2e",
    "k8s",
    "tilt_modules",
]
# Texts that are data, and the list of words with its tests.
EXCLUDED = ["bench/texts.py", "tools/words.toml", "tools/tests/test_words.py", "*requirements*.txt", "common/static"]
GAP = r"(?:[\s_]|#\s)+"  # between the words of a phrase; a comment continues after "# "


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words and the replacement of each finding."""
    for pattern, instead in WORDS.items():
        words = re.compile(rf"(?<![a-z]){pattern.replace(' ', GAP)}(?![a-z])", re.IGNORECASE)
        for found in words.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0], instead


def without_code(markdown: str) -> str:
    """Return Markdown with its code spans emptied; line numbers stay."""
    return re.sub(r"`[^`]*`", lambda span: "`" + "\n" * span[0].count("\n") + "`", markdown)


def findings(paths: list[str]) -> list[str]:
    """Return a sentence for each listed word in these files and folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(
        [*command, *(f":!{name}" for name in EXCLUDED)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sentences = []
    for name in names:
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" in content:  # an image, or a file that was deleted
            continue
        text = without_code(content.decode()) if name.endswith(".md") else content.decode()
        for line, words, instead in sorted(find(text)):
            sentences.append(f"{name}:{line}: {' '.join(words.split())!r}. Write: {instead}.")
    return sentences


def main(paths: list[str]) -> int:
    """Print the findings and their number; return 1 if there are any."""
    found = findings(paths or COVERED)
    print(*found, f"{len(found)} words of {FILE.relative_to(ROOT)} found", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
