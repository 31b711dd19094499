"""gunicorn worker with threads, and with an event loop for slow clients.

The event loop receives requests. It gives a request to a thread when the request is complete. If a thread cannot send
the whole response immediately, the event loop sends the rest. So a slow, silent or hostile client occupies a file
descriptor and some memory, but never a thread.
"""

import contextlib
import errno
import select
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn import http, util
from gunicorn.errors import AppImportError
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.gthread import TConn, ThreadWorker

from common.server.framing import RequestBuffer, TooLarge
from common.server.logger import QuietLogger

REQUEST_TIMEOUT = 10.0  # maximum seconds between the first and the last byte of a request
SEND_TIMEOUT = 30.0  # seconds to send the rest of a response that a thread could not send immediately
LINGER_TIMEOUT = 2.0  # seconds to wait for the client to close the connection (RFC 9112 section 9.6)
STOP_TIMEOUT = 2.0  # seconds for which a stopping worker keeps an idle connection open
MAX_UNSENT = 16_000_000  # bytes; the limit for the unsent responses to all clients of this worker
TICK = 0.5  # seconds between two checks for timed-out connections
CHUNK = 65_536  # maximum bytes to receive at once
DONTWAIT = int(socket.MSG_DONTWAIT)  # as an int, because "|" is slow for enums
ACCEPT_AT_ONCE = 64  # maximum connections to accept before the event loop handles other events


class ClientSocket(socket.socket):
    """Socket whose `sendall` never blocks.

    It keeps the bytes that it could not send in `unsent`.
    """

    unsent: bytearray

    @classmethod
    def of(cls, accepted: socket.socket) -> "ClientSocket":
        """Return a `ClientSocket` for an accepted connection."""
        client = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        client.setblocking(False)
        client.unsent = bytearray()
        return client

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send as much as possible now, and buffer the rest."""
        sent = 0
        if not self.unsent:
            with contextlib.suppress(BlockingIOError):
                sent = self.send(data, DONTWAIT | flags)
        if sent < len(data):
            self.unsent += memoryview(data)[sent:]

    def receive(self) -> bytes:
        """Return received bytes, or b"" if the client will send no more.

        Raise BlockingIOError if no bytes have arrived.
        """
        return self.recv(CHUNK, DONTWAIT)

    def send_rest(self) -> bool:
        """Send as much of `unsent` as possible. Return whether all of it was sent."""
        try:
            while self.unsent:
                del self.unsent[: self.send(self.unsent, DONTWAIT)]
        except BlockingIOError:
            return False
        return True


class Connection(TConn):
    """Connection to a client.

    It waits in the event loop, or a thread handles its request.

    `deadline` is the value of `time.monotonic()` at which the event loop stops waiting and closes the connection.
    """

    sock: ClientSocket
    client: Any
    parser: Any

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.buffer = RequestBuffer()
        self.deadline = 0.0
        self.events = 0  # the events that the poller waits for
        self.on_event: Callable[[Connection], None] = _ignore
        self.continued = False  # whether 100 (Continue) was sent
        self.data_ready = True  # makes gunicorn's thread parse the request without waiting for data

    def init(self) -> None:
        """Give gunicorn's parser the complete request, but no bytes that follow it."""
        self.parser = http.get_parser(self.cfg, iter([self.buffer.take()]), self.client)

    def may_continue(self, request: Any) -> bool:
        """Return whether another request may follow on this connection.

        It may follow if gunicorn and the buffer agree on where this request ends. Otherwise, a client could hide a
        second request in the body of the first.
        """
        framing = [(name, value) for name, value in request.headers if name in ("CONTENT-LENGTH", "TRANSFER-ENCODING")]
        return self.buffer.is_clear and framing == self.buffer.framing


def _ignore(_: object) -> None:
    """Do nothing. This is the initial value of `on_event` and `on_tick`."""


class BufferingWorker(ThreadWorker):
    """Worker that buffers requests and responses.

    If a client connects when there are too many connections, the worker closes the connection that has been waiting in
    the event loop longest.
    """

    log: QuietLogger

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parked: dict[Connection, None] = {}  # connections in the event loop; the first has been waiting longest
        self.on_tick: Callable[[BufferingWorker], None] = _ignore
        self._next_tick = 0.0
        self._next_warning = 0.0

    def init_process(self) -> None:
        """Load the application, then serve requests.

        If the settings raise SystemExit, because the environment is invalid, print the message and stop the master too.
        """
        try:
            super().init_process()
        except SystemExit as error:
            if self.booted:
                raise
            raise AppImportError(error) from None

    def run(self) -> None:
        """Serve until a signal stops the worker. Then finish the requests in progress.

        Finishing them takes at most `graceful_timeout` seconds.
        """
        queue: Any = self.method_queue  # threads use this queue to wake the event loop
        self.poller.register(queue, selectors.EVENT_READ, queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive:
            self.wait_for_and_dispatch_events(timeout=TICK)
            self._tick()
        self.set_accept_enabled(False)
        deadline = time.monotonic() + self.cfg.graceful_timeout
        for connection in list(self.parked):
            self._hurry(connection)
        while self.nr_conns and time.monotonic() < deadline:
            self.wait_for_and_dispatch_events(timeout=TICK / 5)
            self._tick()
        self.tpool.shutdown(wait=False)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Start or stop accepting connections.

        To stop, accept all connections that the kernel has queued, then close the listening sockets. gunicorn itself
        would close the sockets later. Until then, the kernel would queue more connections, and eventually reset them.
        """
        super().set_accept_enabled(enabled)
        if not enabled:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0] and self._accept_one(listener):
                    pass
                listener.close()

    def accept(self, listener: Any) -> None:
        """Accept up to `ACCEPT_AT_ONCE` queued connections."""
        for _ in range(ACCEPT_AT_ONCE):
            if not self._accept_one(listener):
                break

    def _accept_one(self, listener: Any) -> bool:
        """Accept one connection. Return False if none is queued, or if there is no room."""
        if self.nr_conns >= self.worker_connections and not self._make_room():
            return False
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                return self._make_room()
            # Other errors affect only this connection: see "Error handling" in accept(2).
            return error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK)
        connection = Connection(self.cfg, ClientSocket.of(accepted), address, listener.getsockname())
        self.nr_conns += 1
        self._park(connection, selectors.EVENT_READ, self._receive, REQUEST_TIMEOUT)
        return True

    def _make_room(self) -> bool:
        """Close the connection that has been waiting longest.

        Return False if none is waiting.
        """
        now = time.monotonic()
        if now > self._next_warning:
            self._next_warning = now + 60
            self.log.warning("Too many connections (%s). Closing those that have been waiting longest.", self.nr_conns)
        if not self.parked:
            time.sleep(0.01)  # threads are handling requests on all connections, and one may finish soon
            return False
        self._close(next(iter(self.parked)))
        return True

    def requests(self) -> int:
        """Return the number of requests that are running or waiting for a thread."""
        return max(self.nr_conns - len(self.parked), 0)

    # Connections that are waiting in the event loop

    def _park(
        self, connection: Connection, events: int, on_event: Callable[[Connection], None], timeout: float
    ) -> None:
        """Wait for events on a connection, up to `timeout` seconds."""
        connection.on_event = on_event
        connection.deadline = time.monotonic() + timeout
        self.parked[connection] = None
        self._watch(connection, events)
        if not self.alive:
            self._hurry(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        if not connection.events:
            self.poller.register(connection.sock, events, partial(self._dispatch, connection))
        elif connection.events != events:
            self.poller.modify(connection.sock, events, partial(self._dispatch, connection))
        connection.events = events

    def _dispatch(self, connection: Connection, _sock: Any) -> None:
        if connection in self.parked:  # an earlier event from the same poll may have closed it
            self._guarded(connection, connection.on_event, connection)

    def _guarded(self, connection: Connection, action: Callable[..., None], *arguments: Any) -> None:
        """Run an action.

        If it fails, close the connection, but keep the event loop running.
        """
        try:
            action(*arguments)
        except OSError:  # for example, the client reset the connection
            self._close(connection)
        except Exception:
            self.log.exception("Closing a connection after an internal error")
            self._close(connection)

    def _hurry(self, connection: Connection) -> None:
        """Shorten the timeout of an idle connection, because this worker is stopping."""
        if connection.on_event == self._receive and not connection.buffer.data:
            connection.deadline = min(connection.deadline, time.monotonic() + STOP_TIMEOUT)

    def _unpark(self, connection: Connection) -> None:
        self.parked.pop(connection, None)
        if connection.events:
            self.poller.unregister(connection.sock)
            connection.events = 0

    def _close(self, connection: Connection) -> None:
        if connection.sock.fileno() >= 0:  # not closed yet
            self._unpark(connection)
            self.nr_conns -= 1
            connection.close()

    def _tick(self) -> None:
        """Do the periodic work, every `TICK` seconds.

        Notify the master that this worker is alive, stop if the master has died, and close timed-out connections.
        """
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK
        self.notify()
        self.on_tick(self)
        self.alive = self.alive and self.is_parent_alive()
        self._expire(now)

    def _expire(self, now: float) -> None:
        """Close timed-out connections.

        If a client has sent only a part of its request, send a 408 first (RFC 9110 section 15.5.9).
        """
        for connection in [each for each in self.parked if each.deadline < now]:
            if connection.on_event == self._receive and connection.buffer.data:
                message = "The request did not arrive in time. Send it again."
                self._guarded(connection, self._refuse, connection, 408, "Request Timeout", message)
            else:
                self._close(connection)

    # Receiving requests

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.receive()
        except BlockingIOError:
            return
        if data:
            if not connection.buffer.data and connection.initialized:  # these are the first bytes of another request
                connection.deadline = time.monotonic() + REQUEST_TIMEOUT
            connection.buffer.feed(data)
            self._proceed(connection)
        elif connection.buffer.has_head():
            self._refuse(connection, 400, "Bad Request", "The body ended too early. Send the request again.")
        else:
            self._close(connection)

    def _proceed(self, connection: Connection) -> None:
        """Give the request to a thread if it is complete."""
        buffer = connection.buffer
        try:
            complete = buffer.is_complete()
        except TooLarge as error:
            self._refuse(connection, error.status, error.reason, error.message)
            return
        if complete:
            self._unpark(connection)
            self.enqueue_req(connection)
        elif buffer.has_head() and buffer.expects_continue and not connection.continued:
            connection.continued = True
            connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")  # RFC 9110 section 10.1.1

    def _refuse(self, connection: Connection, status: int, reason: str, message: str) -> None:
        """Respond to an invalid request in the event loop, and close the connection."""
        self.log.refused(connection.buffer.request_line(), status, reason, connection.client[0])
        util.write_error(connection.sock, status, reason, message)
        self._finish(connection, keep_open=False)

    # Sending responses

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Continue with a connection after a thread has handled its request."""
        answered = not fs.cancelled() and fs.exception() is None and fs.result()
        # If gunicorn has not read the whole request, close the connection. Otherwise, gunicorn would parse the rest of
        # the request as another request.
        keep_open = bool(answered) and not conn.parser.unreader.take_buffered()
        self._guarded(conn, self._finish, conn, keep_open)

    def _finish(self, connection: Connection, keep_open: bool) -> None:
        """Send the rest of a response.

        Then wait for another request, or close the connection.
        """
        if connection.sock.send_rest():
            self._after_answer(connection, keep_open)
            return
        self._park(connection, selectors.EVENT_WRITE, partial(self._send, keep_open=keep_open), SEND_TIMEOUT)
        # If the buffers of all clients together are too large, close the connections that have been waiting longest.
        unsent = sum(len(each.sock.unsent) for each in self.parked)
        for slow in [each for each in self.parked if each.sock.unsent]:
            if unsent <= MAX_UNSENT:
                break
            unsent -= len(slow.sock.unsent)
            self._close(slow)

    def _send(self, connection: Connection, keep_open: bool) -> None:
        if connection.sock.send_rest():
            self.parked.pop(connection)
            self._after_answer(connection, keep_open)

    def _after_answer(self, connection: Connection, keep_open: bool) -> None:
        if not keep_open:
            connection.sock.shutdown(socket.SHUT_WR)
            self._park(connection, selectors.EVENT_READ, self._discard, LINGER_TIMEOUT)
            return
        connection.initialized, connection.continued = True, False
        connection.buffer.next()
        self._park(connection, selectors.EVENT_READ, self._receive, self.cfg.keepalive)
        if connection.buffer.data:  # the client has already sent bytes of another request (pipelining)
            connection.deadline = time.monotonic() + REQUEST_TIMEOUT
            self._proceed(connection)

    def _discard(self, connection: Connection) -> None:
        """Read and ignore data until the client closes the connection.

        If the worker closed it earlier, the kernel would reset the connection, and the client could lose the response.
        """
        if not connection.sock.receive():
            self._close(connection)

    # In a thread

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Handle a request. Return whether another one may follow on this connection."""
        if req.version >= (1, 1) and not any(name == "HOST" for name, _ in req.headers):
            raise InvalidHeader("Host is missing", req=req)  # RFC 9112 section 3.2
        return bool(super().handle_request(req, conn)) and conn.may_continue(req)
