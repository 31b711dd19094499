"""Find words that this repository avoids: `python -m tools.words [FILE_OR_FOLDER ...]`.

tools/words.toml lists these words, each with the words to write instead.
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
# These files contain texts as data, or the words themselves.
EXCLUDED = ["bench/texts.py", "tools/words.toml", "tools/tests/test_words.py", "*requirements*.txt", "common/static"]
GAP = r"(?:[\s_]|#\s)+"  # what may separate two words, including the "#" of the next comment line


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each finding as its line number, the words found, and what to write instead."""
    for pattern, instead in WORDS.items():
        words = re.compile(rf"(?<![a-z]){pattern.replace(' ', GAP)}(?![a-z])", re.IGNORECASE)
        for found in words.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0], instead


def without_code(markdown: str) -> str:
    """Remove the text of all code spans from Markdown, but keep the line breaks."""
    return re.sub(r"`[^`]*`", lambda span: "`" + "\n" * span[0].count("\n") + "`", markdown)


def findings(paths: list[str]) -> list[str]:
    """Return a message for each listed word that occurs in these files and folders."""
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
    """Print the findings and how many there are. Return 1 if there are any, else 0."""
    found = findings(paths or COVERED)
    print(*found, f"{len(found)} words of {FILE.relative_to(ROOT)} found", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
