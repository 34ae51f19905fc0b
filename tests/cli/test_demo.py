"""`edgekd demo` on a small model: file, page, two models, Ctrl-C and what it refuses."""

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgekd.cli import main
from edgekd_runtime.video import VideoReader, video_writer
from tests.runtime.test_trt import export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "fp32"
    path.mkdir()
    export(path)
    return path


@pytest.fixture(scope="module")
def clip(folder):
    path = folder.parent / "in.avi"
    with video_writer(path, 10, (48, 64)) as append:
        for index in range(30):
            append(np.full((48, 64, 3), 8 * index, np.uint8))
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["demo", *(str(argument) for argument in arguments)])


@pytest.fixture
def start():
    """Start the demo as a process; none outlives its test."""
    started = []

    def run(*arguments):
        command = [sys.executable, "-m", "edgekd", "demo", *(str(argument) for argument in arguments)]
        # a job in the background ignores SIGINT, and its children inherit that
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heed))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_two_models_smoothed_into_a_file(folder, clip, tmp_path):
    done = run(clip, "--model", folder, "--compare", folder / "model.onnx", "--smooth", 0.8, "--out", tmp_path / "out.mp4")
    assert done.exit_code == 0 and "30 frames" in done.output, done.output
    out = VideoReader(tmp_path / "out.mp4")
    assert out.info.size == (48, 2 * 64 + 150) and len(list(out)) == 30


def test_frames_must_go_somewhere_and_smoothing_must_smooth(folder, clip):
    nowhere = run(clip, "--model", folder)
    assert nowhere.exit_code == 2 and "--out FILE, --serve PORT" in nowhere.output
    assert run(clip, "--model", folder, "--out", "x.mp4", "--smooth", 0.4).exit_code == 2
    assert run(clip, "--model", folder, "--serve", "nowhere").exit_code == 2


def test_a_file_is_shown_in_the_browser_and_ctrl_c_keeps_it_playable(folder, clip, tmp_path, start):
    process = start(clip.parent / "many-*.png", "--model", folder, "--serve", "0", "--out", tmp_path / "out.avi")
    assert process.wait(60) == 1 and "No images" in process.stderr.read()  # the page closes with the error

    process = start(clip, "--model", folder, "--serve", "0")
    url = re.search(r"Live at (http://127\.0\.0\.1:\d+/)", process.stderr.readline())[1]
    with urllib.request.urlopen(url + "stream", timeout=20) as stream:
        assert b"--frame" in stream.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "Traceback" not in process.stderr.read()


class Camera(BaseHTTPRequestHandler):
    """A network camera: Motion JPEG for as long as someone reads."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=f")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 99, np.uint8))[1].tobytes()
        try:
            while not self.server.over.wait(0.02):
                self.wfile.write(b"--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg))
        except OSError:
            pass

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_stream_with_success(folder, tmp_path, start, number):
    server = HTTPServer(("127.0.0.1", 0), Camera)
    server.over = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    out = tmp_path / "out.mp4"
    process = start(f"http://127.0.0.1:{server.server_address[1]}/", "--model", folder, "--out", out, "--serve", 0)
    url = re.search(r"http://\S+", process.stderr.readline())[0]
    with urllib.request.urlopen(url + "stream", timeout=30) as stream:
        for _ in range(20):
            stream.readline()
        os.kill(process.pid, number)
        said, errors = process.communicate(timeout=30)
    server.over.set()
    server.shutdown()
    server.server_close()
    assert process.returncode == 0 and "Traceback" not in errors, errors
    assert f"{len(list(VideoReader(out)))} frames" in said


def test_another_address_comes_with_a_warning(folder, tmp_path):
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((48, 64, 3), np.uint8))
    done = run(tmp_path, "--model", folder, "--serve", "0.0.0.0:0", "--fps", 100)
    assert done.exit_code == 0 and "Warning: anyone who can reach 0.0.0.0" in done.output
    assert "Warning" not in run(tmp_path, "--model", folder, "--serve", "0", "--fps", 100).output
