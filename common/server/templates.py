"""The templates of this tree in development: compiled before they are taken, and good ones kept meanwhile."""

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
    """Reads a template each time that it is used; while it is away or wrong, the last good one stays."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._good: dict[str, str] = {}

    def get_contents(self, origin: Origin) -> str:
        """Return a template's text, or its last good one; raises what is wrong if none was good."""
        good = self._good.get(origin.name)
        try:
            contents = super().get_contents(origin) or good or ""  # a file that is being written is empty first
            if contents != good:
                self._check(Template(contents, origin, engine=self.engine))
        except (TemplateDoesNotExist, TemplateSyntaxError, UnicodeDecodeError):
            if good is None:
                raise
            return good
        self._good[origin.name] = contents
        return contents

    def _check(self, template: Template) -> None:
        """Raise TemplateSyntaxError for a template or a URL that there is not, of which Django only hears in use."""
        for kind, attribute, there, what in (
            (ExtendsNode, "parent_name", self._has_template, "template"),
            (IncludeNode, "template", self._has_template, "template"),
            (URLNode, "view_name", _has_url, "URL named"),
        ):
            nodes: list[Any] = template.nodelist.get_nodes_by_type(kind)
            for node in nodes:
                expression = getattr(node, attribute)
                constant = isinstance(expression.var, str) and not expression.filters
                optional = getattr(node, "asvar", None)  # {% url "x" as path %}
                if constant and not optional and not there(expression.var):
                    error: Any = TemplateSyntaxError(f"There is no {what} {str(expression.var)!r}.")
                    error.token = node.token  # as Django's own parser does, for the line
                    raise error

    def _has_template(self, name: str) -> bool:
        origins = self.get_template_sources(name)
        return any(origin.name in self._good or Path(origin.name).is_file() for origin in origins)


def load_templates() -> None:
    """Compile the project's own templates; TemplateSyntaxError has the file, and mostly the line, of what is wrong."""
    for app in apps.get_app_configs():
        if Path(app.path).parent != ROOT:
            continue
        folder = Path(app.path, "templates")
        for file in folder.rglob("*.html"):
            try:
                get_template(str(file.relative_to(folder)))
            except (TemplateSyntaxError, UnicodeDecodeError) as error:
                token = getattr(error, "token", None)  # the parser sets it
                place = f'File "{file}"' + (f", line {token.lineno}" if token else "")
                raise TemplateSyntaxError(f"{place}: {error}") from None


def _has_url(name: str) -> bool:
    return ":" in name or name in get_resolver().reverse_dict  # one in a namespace is not looked for
