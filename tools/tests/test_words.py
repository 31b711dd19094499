"""The check finds the words of tools/words.toml in prose, comments and names.

It accepts all other words.
"""

import subprocess
from pathlib import Path

import pytest

from tools import words


@pytest.mark.parametrize(
    "text",
    [
        "Read it anew.",
        "Anew",
        "def test_while_users_api_is_away_no_user_is_logged_out():",
        "The service is\naway.",
        "# The service was\n    # away.",
        "Whoever asks",
        "The token has ended.",
        "the log-in page",
    ],
)
def test_listed_word_is_found(text: str) -> None:
    assert list(words.find(text))


@pytest.mark.parametrize(
    "text",
    [
        "renewed",
        "It is recommended.",
        "besides",
        "Without an index, search is falling back to a scan.",
        "right away",
        "The session has ended.",
        "Users log in.",
        "telling",
        "for every user",
        'getpwnam("nobody")',
    ],
)
def test_normal_use_of_a_word_is_accepted(text: str) -> None:
    assert not list(words.find(text))


def test_finding_has_the_line_number_and_the_replacement() -> None:
    assert list(words.find("a\nb\nRead it anew.")) == [(3, "anew", "again")]


def test_code_in_markdown_is_not_checked() -> None:
    assert words.without_code("a `anew\nb` c") == "a `\n` c"


def test_long_first_line_of_a_docstring_is_found() -> None:
    fine = f'"""{"a" * words.FIRST_LINE}\n\n{"b" * 100}\n"""\n'
    function = f'def test() -> None:\n    """{"a" * words.FIRST_LINE}."""\n'
    assert list(words.long_docstrings(fine)) == []
    assert list(words.long_docstrings(fine + function)) == [(6, words.FIRST_LINE + 1)]


def test_exit_code_is_1_for_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "a.py").write_text("# Read it anew.\n")
    (tmp_path / "b.py").write_text(f'"""{"b" * 100}"""\n')
    (tmp_path / "image.png").write_bytes(b"\0anew")
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "FILE", tmp_path / "words.toml")
    assert words.findings(["."]) == [
        "a.py:1: 'anew'. Write: again.",
        "b.py:1: The first line has 100 characters. Use at most 80.",
    ]
    assert words.main(["."]) == 1
