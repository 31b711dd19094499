"""Test that the commands in README.md print what README.md says.

The commands run against a new system.
"""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tools.local import ROOT
from tools.system import System, start, stop

MARK = "--- the next command ---"


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a new system, which contains only the sample data."""
    system = start(tmp_path_factory.mktemp("fresh"))
    yield system
    stop(system)


def examples() -> list[tuple[str, str]]:
    """Return pairs `(command, output)` from the console blocks of README.md."""
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    return [
        (command, output)
        for block in blocks
        for command, _, output in (
            example.partition("\n") for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        )
    ]


def test_readme_commands_print_the_documented_output(fresh: System) -> None:
    printed = examples()
    assert len(printed) > 20
    # Run all commands in one shell, because later commands use variables that earlier ones have set.
    script = "\n".join(f"{command}\necho; echo '{MARK}'" for command, _ in printed)
    ports = {8000: fresh.thoughts, 8001: fresh.users, 8002: fresh.web}
    for port, url in ports.items():
        script = script.replace(f"http://localhost:{port}", url)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    outputs = done.stdout
    for port, url in ports.items():
        outputs = outputs.replace(url, f"http://localhost:{port}")

    for (command, expected), output in zip(printed, outputs.split(f"{MARK}\n"), strict=False):
        pattern = ".+".join(re.escape(part) for part in expected.strip().split("…"))
        assert re.fullmatch(pattern, output.strip()), f"$ {command}\n{output}\ndiffers from the README:\n{expected}"


def test_readme_has_a_command_for_every_endpoint(fresh: System) -> None:
    commands = "\n".join(command for command, _ in examples())
    for url, port in [(fresh.thoughts, 8000), (fresh.users, 8001)]:
        schema = subprocess.run(["curl", "-s", f"{url}/schema/"], capture_output=True, text=True, check=True).stdout
        paths = re.findall(r"^  (/[^:]*):$", schema, re.MULTILINE)
        assert paths
        for path in paths:
            assert re.search(f"http://localhost:{port}" + re.sub(r"\\{\w+\\}", r"\\d+", re.escape(path)), commands), (
                path
            )
