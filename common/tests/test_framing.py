"""Test how the end of a request is found in the bytes that a client sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.server.framing import MAX_BODY, MAX_CHUNKED_BODY, MAX_HEAD, MAX_LINE, RequestBuffer, TooLarge

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = [
    GET,
    b"\r\n" + GET,
    POST + b"Content-Length: 0\r\n\r\n",
    POST + b"content-length:5 \r\n\r\nhello",
    POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: Chunked\r\n\r\n5;name=value\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n",
]


def buffered(data: bytes) -> RequestBuffer:
    """Return a buffer that has received these bytes."""
    buffer = RequestBuffer()
    buffer.feed(data)
    return buffer


@pytest.mark.parametrize("request_", WHOLE)
def test_a_request_is_complete_once_its_last_byte_arrives(request_: bytes) -> None:
    buffer = RequestBuffer()
    for byte in request_:
        assert not buffer.is_complete()
        buffer.feed(bytes([byte]))
    assert buffer.is_complete()
    assert buffer.is_clear
    assert buffer.take() == request_


@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=4), st.data())
def test_pipelined_requests_are_split_wherever_the_data_is_cut(requests: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=10)))
    buffer, received = RequestBuffer(), []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        buffer.feed(sent[start:end])
        while buffer.is_complete():
            received.append(buffer.take())
            buffer.next()
    assert received == requests


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01",  # TLS
        b"GET / HTTP/1.1\nHost: localhost\n",
        b"GET /" + b"x" * MAX_HEAD,
        b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n",
        b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"x" * MAX_LINE + b" HTTP/1.1\r\nX: " + b"x" * MAX_HEAD,
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        POST + b"Content-Length: +5\r\n\r\n",
        POST + "Content-Length: ٥\r\n\r\n".encode(),
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nsix\r\n",
    ],
)
def test_malformed_request_is_complete_but_its_end_is_not_clear(request_: bytes) -> None:
    buffer = buffered(request_)
    assert buffer.is_complete()
    assert not buffer.is_clear


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + f"Content-Length: {MAX_BODY + 1}\r\n\r\n".encode(), 413),
        (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
        (POST + f"Transfer-Encoding: chunked\r\n\r\n{MAX_BODY + 1:x}\r\n".encode(), 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (MAX_CHUNKED_BODY // 6 + 1), 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_CHUNKED_BODY, 413),
        (POST + b"X: " + b"x" * MAX_HEAD, 431),
        (POST + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
        ((b"GET /" + b"x" * MAX_LINE)[: MAX_LINE - 9] + b" HTTP/1.1\r\nX: " + b"x" * MAX_HEAD, 431),
    ],
)
def test_oversized_request_is_refused_before_it_is_complete(request_: bytes, status: int) -> None:
    with pytest.raises(TooLarge) as refused:
        buffered(request_).is_complete()
    assert refused.value.status == status


def test_the_largest_bodies_are_accepted() -> None:
    assert buffered(POST + f"Content-Length: {MAX_BODY}\r\n\r\n".encode() + b"x" * MAX_BODY).is_complete()
    chunk = f"{MAX_BODY:x}\r\n".encode() + b"x" * MAX_BODY + b"\r\n"
    assert buffered(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n").is_complete()


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"POST /api/login/?password=secret HTTP/1.1\r\n", "POST /api/login/"),
        (b"GET /x\x1b[31m HTTP/1.1\r\n", r"GET /x\x1b[31m"),
        (b"nonsense", "-"),
        (b"", "-"),
    ],
)
def test_request_line_for_the_log_has_no_query_or_control_characters(sent: bytes, line: str) -> None:
    assert buffered(sent).request_line() == line
