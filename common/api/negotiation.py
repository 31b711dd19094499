"""Choose the parser for a request and the renderer for its response."""

from collections.abc import Iterable

from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OnlyJSON(BaseContentNegotiation):
    """Content negotiation for APIs that always respond with JSON.

    The server ignores the `Accept` header, as RFC 9110 section 12.1 allows. The only exception is the OpenAPI document:
    `?format=` or `Accept` selects its format, and YAML is the default.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the Content-Type, or None to respond with 415.

        Return None for any charset other than UTF-8 and its subset US-ASCII. RFC 8259 section 8.1 requires UTF-8 for
        JSON. This class applies the same rule to forms.
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

        Raise `NotFound` (404) for an unknown `?format=`.
        """
        choices = list(renderers)
        if len(choices) > 1:
            if requested := request.query_params.get("format"):
                choices = [each for each in choices if each.format == requested]
                if not choices:
                    raise NotFound
            preferred = request.get_preferred_type([str(each.media_type) for each in choices])
            # Move the client's preferred format to the front. If it prefers none of them, the order stays the same.
            choices.sort(key=lambda each: each.media_type != preferred)
        return choices[0], str(choices[0].media_type)
