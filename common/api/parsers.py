"""Parse JSON bodies and forms. Refuse invalid UTF-8."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """JSON parser that responds with 400, not 500, to a body nested too deeply."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not JSON."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None


class FormParser(parsers.FormParser):
    """Form parser that refuses invalid UTF-8.

    Django would replace invalid bytes with U+FFFD.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(unquote_to_bytes(body))
        return super().parse(BytesIO(body), media_type, parser_context)


class MultiPartParser(parsers.MultiPartParser):
    """Multipart parser that refuses invalid UTF-8.

    No endpoint accepts files, so the whole body must be text.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raise `ParseError` (400) if it is not UTF-8."""
        body = stream.read()
        check_utf8(body)
        return super().parse(BytesIO(body), media_type, parser_context)


def check_utf8(text: bytes) -> None:
    """Raise `ParseError` (400) if the bytes are not valid UTF-8.

    UTF-8 cannot contain lone surrogates (RFC 3629 section 3), so they are refused too.
    """
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"Invalid UTF-8: {error}") from None
