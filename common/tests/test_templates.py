"""Templates in development, which change while they are used."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.template import Engine, TemplateDoesNotExist, TemplateSyntaxError
from django.template.context import Context
from django.template.loaders import app_directories

from common import settings


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the template shop.html, which has a base."""
    (tmp_path / "base.html").write_text("<{% block text %}{% endblock %}>")
    shop = tmp_path / "shop.html"
    shop.write_text("{% extends 'base.html' %}{% block text %}old{% endblock %}")
    monkeypatch.setattr(app_directories, "get_app_template_dirs", lambda name: (tmp_path,))
    return shop


@pytest.fixture
def render(shop: Path) -> Callable[[], str]:
    """Render it as a process does that goes on."""
    engine = Engine(loaders=settings.template_loaders(cached=False))
    return lambda: engine.get_template("shop.html").render(Context())


def test_a_change_is_there_at_once(shop: Path, render: Callable[[], str]) -> None:
    assert render() == "<old>"
    shop.write_text(shop.read_text().replace("old", "new"))
    assert render() == "<new>"
    (shop.parent / "base.html").write_text("({% block text %}{% endblock %})")
    assert render() == "(new)"


@pytest.mark.parametrize("name", ["shop.html", "base.html"])
@pytest.mark.parametrize("text", ["{% if %}", "{% block text %}", "", None])
def test_what_is_broken_or_half_written_is_not_served(
    shop: Path, render: Callable[[], str], name: str, text: str | None
) -> None:
    file = shop.parent / name
    before = file.read_text()
    assert render() == "<old>"
    for _ in range(2):
        file.unlink(missing_ok=True) if text is None else file.write_text(text)
        assert render() == "<old>"
    file.write_text(before.replace("old", "new").replace("<", "("))
    assert render() in ("<new>", "(old>")


def test_what_was_never_good_says_what_is_wrong(shop: Path, render: Callable[[], str]) -> None:
    shop.write_text("{{ text|nothing }}")
    with pytest.raises(TemplateSyntaxError, match="Invalid filter: 'nothing'"):
        render()
    shop.unlink()
    with pytest.raises(TemplateDoesNotExist):
        render()


def test_without_live_updates_a_template_is_read_once(shop: Path) -> None:
    engine = Engine(loaders=settings.template_loaders(cached=True))
    assert engine.get_template("shop.html").render(Context()) == "<old>"
    shop.write_text("new")
    assert engine.get_template("shop.html").render(Context()) == "<old>"
