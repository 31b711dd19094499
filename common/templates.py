"""The templates of this tree in development: looked through before they are taken, and never served by half."""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.template import Origin, Template, TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.template.loaders import app_directories

from common.settings import ROOT


class LastGoodLoader(app_directories.Loader):
    """Reads a template each time that it is used; as long as it is broken or being written, the last good one stays."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._good: dict[tuple[str, ...], Template] = {}

    def get_template(self, template_name: str, skip: list[Origin] | None = None) -> Template:
        """Return a template by its name, not from the origins to skip; raises what is wrong if none was good."""
        key = (template_name, *(origin.name for origin in skip or ()))
        try:
            self._good[key] = super().get_template(template_name, skip)
        except (TemplateDoesNotExist, TemplateSyntaxError):
            if key not in self._good:
                raise
        return self._good[key]

    def get_contents(self, origin: Origin) -> str:
        """Return a template's text; an empty file is one that is being written."""
        contents = super().get_contents(origin)
        if not contents:
            raise TemplateDoesNotExist(origin)
        return contents


def load_templates() -> None:
    """Compile the project's own templates; TemplateSyntaxError has the file and the line of what is wrong."""
    for app in apps.get_app_configs():
        if Path(app.path).parent != ROOT:
            continue
        folder = Path(app.path, "templates")
        for file in folder.rglob("*.html"):
            try:
                get_template(str(file.relative_to(folder)))
            except TemplateSyntaxError as error:
                line = error.token.lineno  # type: ignore[attr-defined] # the parser sets it
                raise TemplateSyntaxError(f'File "{file}", line {line}: {error}') from None
