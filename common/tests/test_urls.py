"""Test routes with an optional trailing slash."""

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse


@pytest.mark.parametrize(
    "path", ["/open", "/open/", "/items/7", "/items/7/", "/file.json", "/file.json/", "/schema", "/", ""]
)
def test_trailing_slash_is_optional(api: Client, path: str) -> None:
    assert api.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/echo", "/echo/"])
def test_view_receives_the_body_with_and_without_a_trailing_slash(api: Client, path: str) -> None:
    assert api.post(path, {"text": "a"}, content_type="application/json").json() == {"text": "a"}


@pytest.mark.parametrize("path", ["/items", "/items/", "/items/x", "/items/7/8", "/items//", "/openx", "/ope"])
def test_other_paths_are_404(api: Client, path: str) -> None:
    assert api.get(path).status_code == 404


def test_number_in_a_path_may_be_large(api: Client) -> None:
    number = int("9" * 100)
    assert api.get(f"/items/{number}").json() == {"id": number}


@pytest.mark.parametrize("digits", [4300, 4301, 50_000])
def test_number_that_is_too_long_for_python_is_404(api: Client, digits: int) -> None:
    # Python converts at most 4300 digits: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
    assert api.get(f"/items/{'9' * digits}/").status_code == (200 if digits == 4300 else 404)


def test_reversed_url_has_the_slash() -> None:
    assert reverse("schema") == "/schema/"
    with pytest.raises(NoReverseMatch):
        reverse("nothing")
