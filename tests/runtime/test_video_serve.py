"""The live page, read by a plain HTTP client."""

import threading
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.video.serve import VIEWERS, is_loopback, parse_address, serve


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


def test_addresses():
    assert parse_address("8000") == ("127.0.0.1", 8000) and parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    for wrong in ("", "host", "host:", "1:99999", "-1"):
        with pytest.raises(UsageError, match="PORT or HOST:PORT"):
            parse_address(wrong)
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and not is_loopback("0.0.0.0") and not is_loopback("jetson.lan")
