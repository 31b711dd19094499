"""Reading request bodies."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """JSON, with a body that is nested too deeply refused like any other that is broken."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body; `ParseError` (400) if it is not JSON."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None


class FormParser(parsers.FormParser):
    """Forms; Django itself takes bytes that are not UTF-8 for U+FFFD."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body; `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(unquote_to_bytes(body))
        return super().parse(BytesIO(body), media_type, parser_context)


class MultiPartParser(parsers.MultiPartParser):
    """Forms of several parts; no call takes a file, so all of it is text."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body; `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(body)
        return super().parse(BytesIO(body), media_type, parser_context)


def check_utf8(text: bytes) -> None:
    """Raise `ParseError` (400) if it is not UTF-8, a lone surrogate included (RFC 3629 section 3)."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"It is not UTF-8: {error}") from None
