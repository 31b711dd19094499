"""The projects of this repository, as projects.toml lists them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "projects.toml"


@dataclass(frozen=True)
class Project:
    """A project in projects.toml. The comments in that file explain the fields."""

    package: str
    service: str
    title: str
    host: str
    port: int
    database: str | None = None

    @property
    def postgres(self) -> str:
        """Return the name of this project's PostgreSQL service.

        Kubernetes and Docker Compose use the same name.
        """
        return f"{self.service.removesuffix('-api')}-postgres"


def read(file: Path) -> dict[str, Project]:
    """Return the projects in a file, by package name.

    Raise `TypeError` if a project lacks a field or has an unknown one.
    """
    rows = tomllib.loads(file.read_text(encoding="utf-8"))
    return {package: Project(package, **row) for package, row in rows.items()}


TABLE = read(FILE)
PORTS = {package: project.port for package, project in TABLE.items()}
SERVICES = {project.service: project for project in TABLE.values()}
WITH_DATABASE = [project for project in TABLE.values() if project.database]
