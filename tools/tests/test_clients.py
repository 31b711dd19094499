"""Test when the step `clients` of `make test` runs, is skipped, or fails."""

from pathlib import Path

import pytest

from tools.clients import __main__ as clients
from tools.local import ROOT


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "INSTALLED", tmp_path / "installed")
    monkeypatch.setattr("sys.argv", ["tools.clients"])


def test_step_is_skipped_with_a_message_if_tools_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLIENTS", raising=False)
    assert clients.main() == 0
    assert capsys.readouterr().out.startswith("skipped: Node.js, Java and Go are not installed here.")


def test_step_fails_if_tools_are_missing_and_clients_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*command: object, **options: object) -> None:
        raise SystemExit("No matching distribution found.")

    monkeypatch.setenv("CLIENTS", "required")
    monkeypatch.setattr(clients, "run", fails)
    with pytest.raises(SystemExit):
        clients.main()


def test_ci_requires_the_clients() -> None:
    assert "CLIENTS=required make test" in (ROOT / ".ci" / "run").read_text()
