"""Video in, overlay video out: every frame read is one frame written, in order."""

from edgekd_runtime.video.info import Frame, VideoInfo
from edgekd_runtime.video.play import demo
from edgekd_runtime.video.sources import ImageReader, VideoReader, open_frames
from edgekd_runtime.video.writer import video_writer

__all__ = ["Frame", "ImageReader", "VideoInfo", "VideoReader", "demo", "open_frames", "video_writer"]
