"""Tests of the errors for invalid arguments of the Tiltfile and its functions."""

import re

import pytest
import starlark

from tilt_modules.tests.conftest import read
from tools.projects import SERVICES

LOAD = """
load("./tilt_modules/button/Tiltfile", "button")
load("./tilt_modules/cluster/Tiltfile", "manifests")
load("./tilt_modules/database/Tiltfile", "database")
load("./tilt_modules/service/Tiltfile", "create_admin", "service")
"""


def message(text: str | None = None, **arguments: object) -> str:
    """Return the message that the Tiltfile passes to fail()."""
    with pytest.raises(starlark.StarlarkError) as error:
        read(None if text is None else LOAD + text, **arguments)
    [line] = [line for line in str(error.value).splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: fail: ")


def test_error_for_an_unknown_service_lists_the_services() -> None:
    services = re.search(r'There is no service "wbe"\. The services are (.*)\.', message(services=["web", "wbe"]))
    assert services
    assert set(services[1].split(", ")) == {*SERVICES}


@pytest.mark.parametrize("image", ["prod", "", "Production"])
def test_error_for_an_unknown_image_lists_the_images(image: str) -> None:
    assert message(image=image) == f'image must be one of development, production, not "{image}".'


@pytest.mark.parametrize("name", ["gke_shop_europe-west4_production", "admin@prod", "my-kind-kind"])
def test_error_for_a_remote_context_names_the_context(name: str) -> None:
    problem, remedy = "is not a local cluster, or is unreachable.", "Switch with kubectl config use-context."
    assert message(context=name) == f'The context "{name}" {problem} {remedy}'


def test_error_for_a_folder_without_a_project_names_the_folder() -> None:
    call = 'service("notes-api", project = "notes", image = "development", port = 1, links = {})'
    assert message(call) == 'service "notes-api": no requirements.txt in "notes".'


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (
            'database("notes-postgres", service = "notes-api", project = "notes", image = "x")',
            'database "notes-postgres"',
        ),
        ('create_admin("notes-api", project = "notes")', 'create_admin "notes-api"'),
    ],
)
def test_error_for_a_folder_without_manage_py_names_the_folder(call: str, shown: str) -> None:
    assert message(call) == f'{shown}: no manage.py in "notes".'


def test_error_for_a_folder_without_an_overlay_names_the_folder() -> None:
    call = 'manifests("k8s/overlays/staging", secrets = "make --silent cluster-secrets")'
    assert message(call) == 'manifests: no kustomization.yaml in "k8s/overlays/staging".'


@pytest.mark.parametrize(("argv", "shown"), [("[]", "[]"), ('"make test"', '"make test"')])
def test_error_for_a_command_that_is_not_a_list_shows_the_command(argv: str, shown: str) -> None:
    call = f'button("b", resource = "web", text = "B", icon = "home", argv = {argv})'
    assert message(call) == f'button "b": argv must be a list of words, not {shown}.'
