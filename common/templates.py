"""The templates of this tree, looked through before they are used."""

from pathlib import Path

from django.apps import apps
from django.template import TemplateSyntaxError
from django.template.loader import get_template

from common.settings import ROOT


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
