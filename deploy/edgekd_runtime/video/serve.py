"""Frames in the browser: one page with a Motion-JPEG stream, from the standard library's web server."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Condition, Thread, Timer
from typing import Any

import cv2

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.video.info import Frame

PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>edgekd demo</title><style>body{margin:0;background:#181818;color:#ddd;font:1rem system-ui,sans-serif}
img{display:block;width:100vw;height:100vh;height:100dvh;object-fit:contain}</style>
<img src="stream" alt="Live video; if there is none, it has ended: reload the page."></html>"""
VIEWERS = 8
CONNECTIONS = 4 * VIEWERS
"""Open at a time, whatever they ask for; more are closed at once."""
QUALITY = 85
PATIENCE_S = 10.0
_BOUNDARY = "frame"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""No other site shows the page or the stream inside its own."""


def parse_address(text: str) -> tuple[str, int]:
    """``[HOST:]PORT`` → (host, port); this machine alone where no host is given.

    Raises:
        UsageError: If the port is no number from 0 to 65535.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"An address is PORT or HOST:PORT, e.g. 8000, not {text!r}.")
    return host or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_name(header: str, host: str) -> bool:
    """Whether a request's ``Host`` is this server: an address, this machine's name, or the name that it was started with.

    A page elsewhere can make its own name point here and then read what is shown; such a request carries that page's name.
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
    name = name.strip("[]").lower()
    if name in ("localhost", host.strip("[]").lower()):
        return True
    if not is_address(name):
        return name.partition(".")[0] == socket.gethostname().lower().partition(".")[0]
    return is_loopback(name) or not is_loopback(host)


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Live:
    """The newest frame as JPEG. Viewers wait for the next one; a slow viewer misses those in between, and nothing queues."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._jpeg, self._number, self._open = b"", 0, True
        self._viewers = 0

    def show(self, frame: Frame) -> None:
        """Put an RGB frame before the viewers; costs nothing when there are none."""
        if not self._viewers:
            return
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def enter(self) -> bool:
        """One viewer more, unless there are too many."""
        with self._changed:
            free = self._viewers < VIEWERS
            self._viewers += free
        return free

    def leave(self) -> None:
        """One viewer fewer."""
        with self._changed:
            self._viewers -= 1

    def after(self, seen: int) -> tuple[int, bytes] | None:
        """Number and JPEG of the newest frame, once there is one later than number `seen`; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen or not self._open)
            return (self._number, self._jpeg) if self._open else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a stalled viewer does not hold up the end

    def __init__(self, address: tuple[str, int], live: Live) -> None:
        self.live, self.host = live, address[0]
        self._free = BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, unless there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The request, to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A viewer that closes its window is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S

    def handle(self) -> None:
        """One request, whose headers have to come in time: `timeout` alone is of each piece."""
        self._late = Timer(PATIENCE_S, self._give_up)
        self._late.daemon = True
        self._late.start()
        try:
            super().handle()
        finally:
            self._late.cancel()

    def _give_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        """The page or the stream."""
        self._late.cancel()
        if not is_own_name(self.headers.get("Host", ""), self.server.host):
            self.send_error(421, "Open it by this machine's name or address")
        elif self.path == "/":
            self._reply(200, "text/html; charset=utf-8", len(PAGE))
            self.wfile.write(PAGE)
        elif self.path != "/stream":
            self.send_error(404)
        elif not self.server.live.enter():
            self.send_error(503, "Too many viewers")
        else:
            try:
                self._stream()
            finally:
                self.server.live.leave()

    def _stream(self) -> None:
        self._reply(200, f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        number = 0
        while newest := self.server.live.after(number):
            number, jpeg = newest
            self.wfile.write(f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n")

    def _reply(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""


@contextmanager
def serve(address: tuple[str, int]) -> Iterator[tuple[Live, str]]:
    """Serve a page at (host, port) while inside; port 0 takes a free one.

    Yields:
        What shows frames, and the page's URL.

    Raises:
        EdgeKDError: If the address can't be taken.
    """
    live = Live()
    try:
        server = _Server(address, live)
    except OSError as error:
        raise EdgeKDError(f"Can't serve at {address[0]}:{address[1]}: {error.strerror or error}; choose another host or port.") from error
    thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield live, f"http://{address[0]}:{server.server_address[1]}/"
    finally:
        live.close()
        server.shutdown()
        thread.join()
        server.server_close()
