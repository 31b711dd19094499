"""Tests of the references and counts in docs/security.md.

The document must name only files, identifiers and tests that exist, and its counts must be correct.
"""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tools.local import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROW = re.compile(r"\| ([\d.]+) \| (.+) \| (met|not met|not applicable) \| (.+) \|")
ROWS = [match.groups() for match in map(ROW.fullmatch, DOCUMENT.splitlines()) if match]
REQUIREMENTS = 253  # number of requirements in ASVS 5.0.0, levels 1 and 2


@cache
def files() -> frozenset[str]:
    """Return the paths of all files that `git add .` would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return frozenset(name for name in names if (ROOT / name).exists())


@cache
def functions() -> frozenset[str]:
    """Return the names of all test functions."""
    sources = (ROOT / name for name in files() if re.fullmatch(r"(?:.*/)?test_\w+\.py", name))
    return frozenset(name for source in sources for name in re.findall(r"^def (test_\w+)", source.read_text(), re.M))


def stale(evidence: str) -> list[str]:
    """Return the words in backticks that name a missing test, file or identifier.

    An identifier must occur in the last file that the text names before the identifier.
    """
    missing, before = [], ""
    for word in re.findall(r"`([^`]+)`", evidence):
        if word.startswith("test_"):
            exists = word in functions()
        elif re.fullmatch(r"[\w./-]*[/.][\w.-]+", word):
            exists, before = word in files(), word
        else:
            exists = not before or (before in files() and word in (ROOT / before).read_text())
        if not exists:
            missing.append(word)
    return missing


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_files_and_tests_in_each_row_exist(row: tuple[str, str, str, str]) -> None:
    _, _, state, evidence = row

    assert not stale(evidence)
    if state == "met":
        assert re.search(r"`(?:test_\w+|[^`]*[/.][^`]*)`", evidence), "A met requirement needs evidence."


def test_every_requirement_has_one_row_in_order() -> None:
    table = [line for line in DOCUMENT.splitlines() if re.match(r"\| \d", line)]
    numbers = [tuple(map(int, row[0].split("."))) for row in ROWS]

    assert len(table) == len(ROWS) == REQUIREMENTS
    assert numbers == sorted(set(numbers))


def test_counts_match_the_table() -> None:
    counts = Counter(row[2] for row in ROWS)

    sentence = f"{counts['met']} are met, {counts['not met']} are not met, {counts['not applicable']} do not apply"
    assert sentence in DOCUMENT.replace("\n", " ")


@pytest.mark.parametrize(
    "evidence",
    [
        "`test_nothing`",
        "`common/nothing.py`",
        "`common/tokens/keys.py` (`NOTHING`)",
        "`test_every_python_lock_file_is_audited`, `x.py`",
    ],
)
def test_stale_evidence_is_found(evidence: str) -> None:
    assert len(stale(evidence)) == 1


def test_existing_evidence_is_accepted() -> None:
    here = Path(__file__).relative_to(ROOT)

    assert stale(f"`{here}` (`REQUIREMENTS`), `test_existing_evidence_is_accepted`, `.dockerignore`") == []
