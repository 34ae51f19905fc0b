"""What ffmpeg's own tools tell of a video file; nothing where they are not installed."""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any


def probe(video: Path) -> list[dict[str, Any]]:
    """A file's streams, as ffprobe describes them; none where there is no ffprobe, or it can't read the file."""
    if shutil.which("ffprobe") is None:
        return []
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,nb_frames,duration", "-of", "json", local(video)]
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout).get("streams", [])) if done.returncode == 0 else []


def mean_frame_rate(video: Path) -> float | None:
    """Frames per second over the whole file, for which OpenCV before 5 takes the rate that the file names; None where nobody knows."""
    for stream in probe(video):
        with suppress(KeyError, ValueError):  # not every kind of file says both
            if stream["codec_type"] == "video" and float(stream["duration"]) > 0:
                return int(stream["nb_frames"]) / float(stream["duration"]) or None
    return None


def has_sound(video: Path) -> bool | None:
    """Whether a file has a sound track; None where nobody knows."""
    streams = probe(video)
    return any(stream.get("codec_type") == "audio" for stream in streams) if streams else None


def local(path: Path) -> str:
    """A file whatever its name looks like: ffmpeg takes `a:b` for a protocol and `-x` for an option."""
    return f"file:{path}"
