"""Check the language of all files: `python -m tools.words [FILE_OR_FOLDER ...]`.

The check finds the words in tools/words.toml, and says what to write instead. It also finds docstrings of Python
files whose first line is longer than `FIRST_LINE` characters.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

from tools.local import ROOT

FILE = ROOT / "tools" / "words.toml"
WORDS: dict[str, str] = tomllib.loads(FILE.read_text())
# These files contain texts as data, or the words themselves.
EXCLUDED = ["bench/texts.py", "tools/words.toml", "tools/tests/test_words.py", "*requirements*.txt", "common/static"]
FIRST_LINE = 80  # characters, without the quotation marks
GAP = r"(?:[\s_]|#\s)+"  # what may separate two words, including the "#" of the next comment line


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number of each listed word, the word, and what to write instead."""
    for pattern, instead in WORDS.items():
        words = re.compile(rf"(?<![a-z]){pattern.replace(' ', GAP)}(?![a-z])", re.IGNORECASE)
        for found in words.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0], instead


def without_code(markdown: str) -> str:
    """Remove the text of all code spans from Markdown, but keep the line breaks."""
    return re.sub(r"`[^`]*`", lambda span: "`" + "\n" * span[0].count("\n") + "`", markdown)


def long_docstrings(source: str) -> Iterator[tuple[int, int]]:
    """Yield the line number and the length of each first line that is too long."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            if len(first) > FIRST_LINE:
                yield node.body[0].lineno, len(first)


def findings(paths: list[str]) -> list[str]:
    """Return a message for each fault in these files and folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    names = subprocess.run(
        [*command, *(f":!{name}" for name in EXCLUDED)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    messages = []
    for name in names:
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" in content:  # an image, or a file that was deleted
            continue
        text = without_code(content.decode()) if name.endswith(".md") else content.decode()
        for line, words, instead in sorted(find(text)):
            messages.append(f"{name}:{line}: {' '.join(words.split())!r}. Write: {instead}.")
        if name.endswith(".py"):
            for line, length in long_docstrings(text):
                messages.append(f"{name}:{line}: The first line has {length} characters. Use at most {FIRST_LINE}.")
    return messages


def main(paths: list[str]) -> int:
    """Print the findings and how many there are. Return 1 if there are any, else 0."""
    found = findings(paths or ["."])
    print(*found, f"{len(found)} faults found", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
