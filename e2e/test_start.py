"""The whole system starts and becomes ready."""

import requests

from tools.system import System


def test_all_projects_are_ready(system: System) -> None:
    for url in (system.thoughts, system.users, system.web):
        assert requests.get(f"{url}/readyz", timeout=10).json() == {"status": "ok"}
