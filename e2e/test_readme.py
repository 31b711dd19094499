"""The commands of the README, run as printed against a system that was just started."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tools.local import ROOT
from tools.system import System, start, stop

MARK = "--- the next command ---"


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with nothing but its sample data."""
    system = start(tmp_path_factory.mktemp("fresh"))
    yield system
    stop(system)


def examples() -> list[tuple[str, str]]:
    """Return the commands of the README's console blocks, each with the output that is printed there."""
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    return [
        (command, output)
        for block in blocks
        for command, _, output in (
            example.partition("\n") for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        )
    ]


def test_the_commands_of_the_readme_print_what_it_says(fresh: System) -> None:
    printed = examples()
    assert len(printed) > 20
    # One shell for all, because later commands use variables that earlier ones set.
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
        assert re.fullmatch(pattern, output.strip()), f"$ {command}\n{output}\nis not what the README says:\n{expected}"


def test_every_endpoint_has_a_command_in_the_readme(fresh: System) -> None:
    commands = "\n".join(command for command, _ in examples())
    for url, port in [(fresh.thoughts, 8000), (fresh.users, 8001)]:
        schema = subprocess.run(["curl", "-s", f"{url}/schema/"], capture_output=True, text=True, check=True).stdout
        paths = re.findall(r"^  (/[^:]*):$", schema, re.MULTILINE)
        assert paths
        for path in paths:
            assert re.search(f"http://localhost:{port}" + re.sub(r"\\{\w+\\}", r"\\d+", re.escape(path)), commands), (
                path
            )
