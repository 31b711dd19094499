"""Load templates in development.

Check each template before using it, and keep its last working version.
"""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.template import Origin, Template, TemplateDoesNotExist, TemplateSyntaxError
from django.template.defaulttags import URLNode
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.template.loaders import app_directories
from django.urls import get_resolver

from common.settings import ROOT


class LastGoodLoader(app_directories.Loader):
    """Template loader that reads the file whenever a template is used.

    If the file is missing or broken, the loader returns the last version that worked.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._good: dict[str, str] = {}

    def get_contents(self, origin: Origin) -> str:
        """Return the text of a template.

        If the file is missing or broken, return the last working version.

        If no version has worked yet, raise the error of the missing or broken file.
        """
        good = self._good.get(origin.name)
        try:
            # While an editor writes the file, it may be empty. In this case, use the last working version.
            contents = super().get_contents(origin) or good or ""
            if contents != good:
                self._check(Template(contents, origin, engine=self.engine))
        except (TemplateDoesNotExist, TemplateSyntaxError, UnicodeDecodeError):
            if good is None:
                raise
            return good
        self._good[origin.name] = contents
        return contents

    def _check(self, template: Template) -> None:
        """Raise TemplateSyntaxError if the template uses an unknown template or URL name.

        Django reports unknown names only when it renders the template.
        """
        for kind, attribute, exists, noun in (
            (ExtendsNode, "parent_name", self._has_template, "template"),
            (IncludeNode, "template", self._has_template, "template"),
            (URLNode, "view_name", _has_url, "URL named"),
        ):
            nodes: list[Any] = template.nodelist.get_nodes_by_type(kind)
            for node in nodes:
                expression = getattr(node, attribute)
                constant = isinstance(expression.var, str) and not expression.filters
                optional = getattr(node, "asvar", None)  # {% url "x" as path %} may name an unknown URL
                if constant and not optional and not exists(expression.var):
                    error: Any = TemplateSyntaxError(f"There is no {noun} {str(expression.var)!r}.")
                    error.token = node.token  # the token has the line number, as in errors from Django's parser
                    raise error

    def _has_template(self, name: str) -> bool:
        origins = self.get_template_sources(name)
        return any(origin.name in self._good or Path(origin.name).is_file() for origin in origins)


def load_templates() -> None:
    """Compile all templates of this project.

    Raise TemplateSyntaxError for the first broken one. The message names the file and, if known, the line.
    """
    for app in apps.get_app_configs():
        if Path(app.path).parent != ROOT:
            continue
        folder = Path(app.path, "templates")
        for file in folder.rglob("*.html"):
            try:
                get_template(str(file.relative_to(folder)))
            except (TemplateSyntaxError, UnicodeDecodeError) as error:
                token = getattr(error, "token", None)  # UnicodeDecodeError has none
                place = f'File "{file}"' + (f", line {token.lineno}" if token else "")
                raise TemplateSyntaxError(f"{place}: {error}") from None


def _has_url(name: str) -> bool:
    return ":" in name or name in get_resolver().reverse_dict  # names with a namespace are not checked
