"""The live page, read by a plain HTTP client."""

import contextlib
import socket
import threading
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.video.serve import CONNECTIONS, VIEWERS, is_loopback, is_own_name, parse_address, serve


def next_frame(stream):
    """The next part of a multipart stream, decoded by OpenCV."""
    while not (line := stream.readline()).startswith(b"Content-Length"):
        assert line, "the stream ended"
    length = int(line.split(b":")[1])
    stream.readline()
    return cv2.imdecode(np.frombuffer(stream.read(length), np.uint8), cv2.IMREAD_COLOR)


def shade(value):
    return np.full((48, 64, 3), (value, 0, 0), np.uint8)


@pytest.fixture
def page():
    with serve(("127.0.0.1", 0)) as (live, url):
        yield live, url


@pytest.fixture
def feeding(page):
    """Frames of red 0, 1, 2, … 250 and round again, until the test is over."""
    live, url = page
    over = threading.Event()

    def feed():
        value = 0
        while not over.wait(0.002):
            live.show(shade(value % 250))
            value += 1

    thread = threading.Thread(target=feed)
    thread.start()
    yield url
    over.set()
    thread.join()


def test_the_page_shows_the_stream(feeding):
    with urllib.request.urlopen(feeding) as reply:
        assert reply.headers["Content-Type"].startswith("text/html") and b'src="stream"' in reply.read()
    with urllib.request.urlopen(feeding + "stream", timeout=5) as stream:
        assert stream.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        first, later = next_frame(stream), [next_frame(stream) for _ in range(10)][-1]
    assert first.shape == (48, 64, 3) and later[..., :2].max() < 30  # red in, red out: OpenCV's third channel
    assert later[..., 2].mean() != first[..., 2].mean()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(feeding + "etc/passwd")


def test_a_slow_viewer_holds_nobody_up_and_sees_the_newest(page):
    live, url = page
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    with urllib.request.urlopen(url + "stream", timeout=5) as stream:
        live.show(shade(10))
        assert abs(next_frame(stream)[..., 2].mean() - 10) < 3
        begin = time.perf_counter()
        for _ in range(60):  # about 20 MB, more than sockets hold, unread
            live.show(noise)
        assert time.perf_counter() - begin < 5
        live.show(shade(200))
        missed = 0
        while next_frame(stream).shape[0] == 480:
            missed += 1
    assert missed < 60


def test_too_many_viewers_are_turned_away(feeding):
    open_ones = [urllib.request.urlopen(feeding + "stream", timeout=5) for _ in range(VIEWERS)]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(feeding + "stream")
    for one in open_ones:
        one.close()


def test_streams_end_with_the_page():
    with serve(("127.0.0.1", 0)) as (live, url):
        stream = urllib.request.urlopen(url + "stream", timeout=5)
        live.show(shade(1))
        next_frame(stream)
    assert stream.read().strip() == b""


def test_a_taken_port_is_named(page):
    _, url = page
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(EdgeKDError, match=f"127.0.0.1:{port}.*choose another host or port"), serve(("127.0.0.1", port)):
        pass


def ask(url, host):
    """The status of a request for the page under a name."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host})) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_another_sites_name_is_refused(page):
    url = page[1]
    port = url.rsplit(":", 1)[1].strip("/")
    assert [ask(url, host) for host in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]")] == [200, 200, 200]
    assert [ask(url, host) for host in ("evil.example", f"evil.example:{port}", "10.0.0.7", "localhost.evil.example", "")] == [421] * 5
    assert is_own_name("10.0.0.7:80", "0.0.0.0") and is_own_name(socket.gethostname(), "0.0.0.0")
    assert is_own_name("jetson.lan:8080", "jetson.lan") and not is_own_name("evil.example", "0.0.0.0")


def test_no_other_site_shows_it_inside_its_own(feeding):
    for path in ("", "stream"):
        with urllib.request.urlopen(feeding + path, timeout=5) as reply:
            assert reply.headers["X-Frame-Options"] == "DENY" and "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_headers_have_to_come_in_time(monkeypatch):
    monkeypatch.setattr("edgekd_runtime.video.serve.PATIENCE_S", 0.6)
    with serve(("127.0.0.1", 0)) as (_, url), socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))) as slow:
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            slow.sendall(b"GET / HTTP/1.1\r\n")
            while time.monotonic() - begin < 20:  # a letter at a time, each well within the patience
                slow.sendall(b"X")
                time.sleep(0.1)
        assert time.monotonic() - begin < 10


def test_more_connections_than_there_are_threads_for_are_closed(page, monkeypatch):
    port = int(page[1].rsplit(":", 1)[1].strip("/"))
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as more:
        assert more.recv(1) == b""
    for one in idle:
        one.close()


def test_addresses():
    assert parse_address("8000") == ("127.0.0.1", 8000) and parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    for wrong in ("", "host", "host:", "1:99999", "-1"):
        with pytest.raises(UsageError, match="PORT or HOST:PORT"):
            parse_address(wrong)
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and not is_loopback("0.0.0.0") and not is_loopback("jetson.lan")
