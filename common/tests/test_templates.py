"""Test the development template loader with changed and broken templates."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.template import Engine, TemplateDoesNotExist, TemplateSyntaxError
from django.template.context import Context
from django.template.loaders import app_directories

from common import settings


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of shop.html, a template that extends base.html."""
    (tmp_path / "base.html").write_text("<{% block text %}{% endblock %}>")
    shop = tmp_path / "shop.html"
    shop.write_text("{% extends 'base.html' %}{% block text %}old{% endblock %}")
    monkeypatch.setattr(app_directories, "get_app_template_dirs", lambda name: (tmp_path,))
    return shop


@pytest.fixture
def engine(shop: Path) -> Engine:
    """Return the template engine that is used in development."""
    return Engine(loaders=settings.template_loaders(cached=False))


@pytest.fixture
def render(engine: Engine) -> Callable[[], str]:
    """Return a function that renders shop.html."""
    return lambda: engine.get_template("shop.html").render(Context())


def test_change_is_visible_immediately(shop: Path, render: Callable[[], str]) -> None:
    assert render() == "<old>"
    shop.write_text(shop.read_text().replace("old", "new"))
    assert render() == "<new>"
    (shop.parent / "base.html").write_text("({% block text %}{% endblock %})")
    assert render() == "(new)"


@pytest.mark.parametrize("name", ["shop.html", "base.html"])
@pytest.mark.parametrize(
    "content",
    [
        b"{% if %}",
        b"{% block text %}",
        b"{% extends 'x' %}",
        b"{% if 1 %}{% url 'x' %}{% endif %}",
        b"\xe2\x82",
        b"",
        None,
    ],
)
def test_last_working_version_replaces_a_broken_or_missing_template(
    shop: Path, engine: Engine, render: Callable[[], str], name: str, content: bytes | None
) -> None:
    file = shop.parent / name
    before = file.read_text()
    # Load each template separately, like `load_templates`. Otherwise, base.html would have no last working version.
    engine.get_template("base.html")
    engine.get_template("shop.html")
    for _ in range(2):
        file.unlink(missing_ok=True) if content is None else file.write_bytes(content)
        assert render() == "<old>"
    file.write_text(before.replace("old", "new").replace("<", "("))
    assert render() in ("<new>", "(old>")


def test_template_works_while_its_base_is_missing(shop: Path, render: Callable[[], str]) -> None:
    assert render() == "<old>"
    (shop.parent / "base.html").unlink()
    shop.write_text(shop.read_text().replace("old", "new"))
    assert render() == "<new>"


def test_template_that_never_worked_raises_its_error(shop: Path, render: Callable[[], str]) -> None:
    shop.write_text("{{ text|nothing }}")
    with pytest.raises(TemplateSyntaxError, match="Invalid filter: 'nothing'"):
        render()
    shop.unlink()
    with pytest.raises(TemplateDoesNotExist):
        render()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{% extends 'nothing.html' %}", "There is no template 'nothing.html'."),
        ("{% if text %}\n{% include 'nothing.html' %}{% endif %}", "There is no template 'nothing.html'."),
        (
            "{% extends 'base.html' %}\n{% block text %}{% url 'nothing' text %}{% endblock %}",
            "no URL named 'nothing'.",
        ),
    ],
)
def test_unknown_template_or_url_is_an_error(shop: Path, engine: Engine, content: str, message: str) -> None:
    shop.write_text(content)
    with pytest.raises(TemplateSyntaxError, match=message) as caught:
        engine.get_template("shop.html")
    assert vars(caught.value)["token"].lineno == 1 + content.count("\n")


def test_known_template_and_url_are_accepted(shop: Path, engine: Engine) -> None:
    shop.write_text("{% include 'base.html' %}{% url 'schema' %}")
    assert engine.get_template("shop.html").render(Context()).endswith("/schema/")


@pytest.mark.parametrize(
    "content",
    [
        "{% include name %}",
        "{% include 'ba'|add:'se.html' %}",
        "{% include './base.html' %}",
        "{% if deeper %}{% include 'shop.html' %}{% endif %}",
        "{% url 'nothing' as path %}",
        "{% if admin %}{% url 'admin:index' %}{% endif %}",
    ],
)
def test_dynamic_and_optional_names_are_not_checked(shop: Path, engine: Engine, content: str) -> None:
    shop.write_text(content)
    engine.get_template("shop.html").render(Context({"name": "base.html"}))


def test_new_template_may_be_empty(shop: Path, render: Callable[[], str]) -> None:
    shop.write_text("")
    assert render() == ""


def test_cached_loader_reads_a_template_once(shop: Path) -> None:
    engine = Engine(loaders=settings.template_loaders(cached=True))
    assert engine.get_template("shop.html").render(Context()) == "<old>"
    shop.write_text("new")
    assert engine.get_template("shop.html").render(Context()) == "<old>"
