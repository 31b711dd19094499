"""Find the end of an HTTP request in the bytes that a client sends.

`common.server.worker` gives only complete requests to its threads, so that no thread waits for a slow client. This
module parses only the parts of a request that determine its length (RFC 9112). gunicorn then parses the complete
request, and refuses it if it is malformed.
"""

MAX_LINE = 8190  # bytes of the request line; gunicorn does not allow a higher limit
MAX_HEAD = 32 * 1024  # bytes of the request line and all headers; nginx's default limit is the same
MAX_BODY = 64 * 1024  # bytes; no request needs more than a few kB
MAX_CHUNKED_BODY = 2 * MAX_BODY  # bytes, including chunk sizes and line endings
FRAMING = ("CONTENT-LENGTH", "TRANSFER-ENCODING")  # the headers that determine the length of a body


class TooLarge(Exception):
    """The request is too large. `status` is 413 or 431 (RFC 9110, RFC 6585)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class RequestBuffer:
    """Buffer of received bytes that the worker has not yet passed to a thread.

    The head of a request consists of the request line and the headers. When the head is complete, `framing` contains
    the headers that determine the length of the body, as (NAME, value) pairs. `is_clear` is False if gunicorn might
    disagree about where the request ends. The worker must then close the connection after this request.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self._begin()

    def _begin(self) -> None:
        self.framing: list[tuple[str, str]] = []
        self.is_clear = True
        self.expects_continue = False
        self._head = 0  # length of the head, 0 until it is complete
        self._end = -1  # length of the request, -1 until it is known
        self._position = 0  # where the next search starts

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self.data += data

    def is_complete(self) -> bool:
        """Return whether the whole request has arrived.

        Raise `TooLarge` as soon as it is known that the request is too large.
        """
        if not self._head and not self._find_head():
            return False
        if self._end < 0:
            self._find_end_of_chunks()
        return 0 <= self._end <= len(self.data)

    def has_head(self) -> bool:
        """Return whether the request line and all headers have arrived."""
        return self._head > 0

    def take(self) -> bytes:
        """Remove the complete request from the buffer and return it.

        `framing` and `is_clear` describe this request until `next` is called.
        """
        request = bytes(self.data[: self._end])
        del self.data[: self._end]
        return request

    def next(self) -> None:
        """Start searching for the end of the next request."""
        self._begin()

    def request_line(self) -> str:
        """Return the method and path for the log, or "-" if they have not arrived.

        The query is left out, because it may be private.
        """
        line = bytes(self.data[:MAX_HEAD]).lstrip(b"\r\n").partition(b"\r\n")[0].decode("latin-1")
        method, _, target = line.partition(" ")
        path = target.partition(" ")[0].partition("?")[0]
        return f"{method[:20]} {path[:200]}".encode("unicode_escape").decode() if path else "-"

    def _find_head(self) -> bool:
        # An empty line may precede the request (RFC 9112 section 2.2).
        start = 2 if self.data.startswith(b"\r\n") else 0
        found = self.data.find(b"\r\n\r\n", max(start, self._position - 3))
        self._position = len(self.data)
        too_large = (found if found >= 0 else len(self.data)) > MAX_HEAD
        if (found < 0 and self._is_malformed(start)) or (too_large and self._is_line_too_long(start)):
            self._end_here()
        elif too_large:
            raise TooLarge(431, "Request Header Fields Too Large", f"Send at most {MAX_HEAD} bytes of headers.")
        elif found >= 0:
            self._head = self._position = found + 4
            self._read_head(bytes(self.data[start:found]))
        return self._head > 0

    def _is_malformed(self, start: int) -> bool:
        """Return whether gunicorn will refuse the request, whatever bytes follow.

        gunicorn refuses a TLS handshake, and a line that does not end with CRLF.
        """
        first = self.data[start : start + 1]
        is_other_protocol = bool(first) and not first.isalpha() and first != b"\r"
        return is_other_protocol or self.data.count(b"\n") != self.data.count(b"\r\n")

    def _is_line_too_long(self, start: int) -> bool:
        """Return whether gunicorn will refuse the request line with status 414."""
        return self.data.find(b"\r\n", start, start + MAX_LINE + 2) < 0

    def _end_here(self) -> None:
        """Treat the malformed request as complete, so that gunicorn refuses it."""
        self._head = self._end = len(self.data)
        self.is_clear = False

    def _read_head(self, head: bytes) -> None:
        lower = head.lower()
        if b"content-length" not in lower and b"transfer-encoding" not in lower:
            self._end = self._head  # the request has no body, like most requests
            return
        headers = [
            (name.decode("latin-1").upper(), value.strip(b" \t").decode("latin-1"))
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        ]
        self.framing = [(name, value) for name, value in headers if name in FRAMING]
        self.expects_continue = any(name == "EXPECT" and value.lower() == "100-continue" for name, value in headers)
        match self.framing:
            case [("CONTENT-LENGTH", length)] if length.isascii() and length.isdigit():
                if len(length) > 10 or int(length) > MAX_BODY:
                    raise _body_too_large()
                self._end = self._head + int(length)
            case [("TRANSFER-ENCODING", coding)] if coding.lower() == "chunked":
                pass
            case _:  # the request has no body, or gunicorn will refuse its headers
                self._end = self._head
                self.is_clear = not self.framing

    def _find_end_of_chunks(self) -> None:
        """Skip the chunks that have arrived (RFC 9112 section 7.1)."""
        while self._end < 0:
            line_end = self.data.find(b"\r\n", self._position)
            if line_end < 0:
                break
            size = _chunk_size(bytes(self.data[self._position : line_end]))
            if size is None:
                self._end_here()  # the chunk size is not a number
            elif size:
                next_chunk = line_end + 2 + size + 2
                if size > MAX_BODY:
                    raise _body_too_large()
                if next_chunk > len(self.data):
                    break
                self._position = next_chunk
            else:
                end = self.data.find(b"\r\n\r\n", line_end)
                if end < 0:
                    break
                self._end = end + 4
        if (len(self.data) if self._end < 0 else self._end) - self._head > MAX_CHUNKED_BODY:
            raise _body_too_large()


def _chunk_size(line: bytes) -> int | None:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return None


def _body_too_large() -> TooLarge:
    return TooLarge(413, "Content Too Large", f"The body is too large. Send at most {MAX_BODY} bytes.")
