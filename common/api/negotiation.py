"""Choose the parser of a request and the renderer of a response."""

from collections.abc import Iterable

from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OnlyJSON(BaseContentNegotiation):
    """Content negotiation of APIs that always respond with JSON (RFC 9110 section 12.1 allows to ignore `Accept`).

    Only the OpenAPI document has several formats. `?format=` or `Accept` selects one; YAML is the default.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the Content-Type, or None for a 415.

        Bodies must be UTF-8, as RFC 8259 section 8.1 requires for JSON.
        """
        parameters = request.content_params or {}
        if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
            return None
        media_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type.

        Raise `NotFound` for an unknown `?format=`.
        """
        choices = list(renderers)
        if len(choices) > 1:
            if form := request.query_params.get("format"):
                choices = [each for each in choices if each.format == form]
                if not choices:
                    raise NotFound
            preferred = request.get_preferred_type([str(each.media_type) for each in choices])
            choices.sort(key=lambda each: each.media_type != preferred)  # stable: the first one is the default
        return choices[0], str(choices[0].media_type)
