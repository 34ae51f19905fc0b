"""Streetscape: labelled street scenes drawn on the fly, so that a first run needs no download; and a drive through one of them.

From the outside in: `layout` offers samples and the drive; `world` is an endless street, built from what `street` says lines it, in the
colours of `paints`, under some `weather`; `render` draws it. The things in it are shaped in `shapes`, textured in `atlas` and compiled to
arrays in `bank`; `classes` and `types` are what all of them share.
"""

from edgekd.data.streetscape.classes import CLASSES
from edgekd.data.streetscape.layout import Streetscape, drive, recording

__all__ = ["CLASSES", "Streetscape", "drive", "recording"]
