"""Error messages for bad arguments of the Tiltfile and its functions."""

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
    """Return the message of fail()."""
    with pytest.raises(starlark.StarlarkError) as error:
        read(None if text is None else LOAD + text, **arguments)
    [line] = [line for line in str(error.value).splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: fail: ")


def test_unknown_service() -> None:
    services = re.search(r'There is no service "wbe"\. The services are (.*)\.', message(services=["web", "wbe"]))
    assert services
    assert set(services[1].split(", ")) == {*SERVICES}


@pytest.mark.parametrize("image", ["prod", "", "Production"])
def test_unknown_image(image: str) -> None:
    assert message(image=image) == f'image must be one of development, production, not "{image}".'


@pytest.mark.parametrize("name", ["gke_shop_europe-west4_production", "admin@prod", "my-kind-kind"])
def test_context_that_is_not_local(name: str) -> None:
    problem, remedy = "is not a local cluster, or is unreachable.", "Switch with kubectl config use-context."
    assert message(context=name) == f'The context "{name}" {problem} {remedy}'


def test_folder_without_a_project() -> None:
    call = 'service("notes-api", project = "notes", image = "development", links = {})'
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
def test_folder_without_manage_py(call: str, shown: str) -> None:
    assert message(call) == f'{shown}: no manage.py in "notes".'


def test_folder_without_an_overlay() -> None:
    call = 'manifests("k8s/overlays/staging", secrets = "make --silent cluster-secrets")'
    assert message(call) == 'manifests: no kustomization.yaml in "k8s/overlays/staging".'


@pytest.mark.parametrize(("argv", "shown"), [("[]", "[]"), ('"make test"', '"make test"')])
def test_command_that_is_not_a_list(argv: str, shown: str) -> None:
    call = f'button("b", resource = "web", text = "B", icon = "home", argv = {argv})'
    assert message(call) == f'button "b": argv must be a list of words, not {shown}.'
