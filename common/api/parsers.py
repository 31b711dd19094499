"""Parse request bodies: JSON and forms, in strict UTF-8."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """JSON parser that refuses bodies that are nested too deeply."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not JSON."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None


class FormParser(parsers.FormParser):
    """Form parser that requires UTF-8. Django replaces invalid bytes with U+FFFD."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(unquote_to_bytes(body))
        return super().parse(BytesIO(body), media_type, parser_context)


class MultiPartParser(parsers.MultiPartParser):
    """Multipart parser that requires UTF-8. No call accepts files, so the whole body is text."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(body)
        return super().parse(BytesIO(body), media_type, parser_context)


def check_utf8(text: bytes) -> None:
    """Raise `ParseError` (400) for invalid UTF-8.

    Lone surrogates are invalid too (RFC 3629 section 3).
    """
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"Invalid UTF-8: {error}") from None
