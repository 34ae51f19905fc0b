"""Textures: brick, leaves, a car's side. A tile holds luma (64 is 1.0) and the shares of the second and third paint, no colour."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.streetscape.types import Image

TILE, LEVELS, PITCH = 128, 7, 130  # texels of a tile, its mip levels, and its place in the atlas with a wrapped border


@lru_cache(maxsize=1)
def atlas() -> tuple[dict[str, int], Image]:
    """Tile numbers by name, and all tiles side by side (mip levels downwards, each blown back up to full size)."""
    rng = np.random.default_rng(2203)
    u, v = np.meshgrid((np.arange(TILE) + 0.5) / TILE, (np.arange(TILE) + 0.5) / TILE)
    zero = np.zeros_like(u)

    def noise(sigma: float, amount: float) -> NDArray[np.float64]:
        field = cv2.GaussianBlur(np.pad(rng.normal(size=(TILE, TILE)), 48, mode="wrap"), (0, 0), sigma)[48:-48, 48:-48]
        return np.asarray(1 + amount * (field - field.mean()) / field.std())

    def box(u0: float, u1: float, v0: float, v1: float) -> NDArray[np.bool_]:
        return (u >= u0) & (u < u1) & (v >= v0) & (v < v1)

    def disc(cu: float, cv: float, ru: float, rv: float | None = None) -> NDArray[np.bool_]:
        return np.asarray(((u - cu) / ru) ** 2 + ((v - cv) / (rv or ru)) ** 2 < 1)

    def cells(count: float, spread: float) -> NDArray[np.float64]:
        values = rng.uniform(1 - spread, 1 + spread, (int(count) + 1, int(count) + 1))
        return np.asarray(values[(v * count).astype(int), (u * count).astype(int)])

    def bays(pane: tuple[float, ...], frame: float, grid: int, wall: NDArray[np.float64]) -> tuple[Any, Any, Any]:
        """A wall of `grid`² bays, each with a window `pane` (u0, u1, v0, v1), a frame and a sill."""
        s, t = u * grid % 1, v * grid % 1
        outer = (s > pane[0] - frame) & (s < pane[1] + frame) & (t > pane[2] - 1.6 * frame) & (t < pane[3] + frame)
        inner = (s > pane[0]) & (s < pane[1]) & (t > pane[2]) & (t < pane[3])
        bars = (abs(s - sum(pane[:2]) / 2) < 0.018) | (abs(t - (pane[2] + 2 * pane[3]) / 3) < 0.018)
        inner &= ~bars
        pane_luma = cells(grid, 0.5) * (0.7 + 0.6 * t)
        shade = np.where((t < pane[2]) & (t > pane[2] - 0.12) & (s > pane[0]) & (s < pane[1]), 0.8, 1.0)
        return np.where(inner, pane_luma, wall * shade), outer & ~inner, inner

    fine, rough = noise(0.6, 0.07), noise(9, 0.06) * noise(2, 0.05)
    grain = fine * rough
    brick = np.where((v * 32 % 1 < 0.22) | ((u * 12 + 0.5 * np.floor(v * 32 % 2)) % 1 < 0.1), 0.82, 1.0) * cells(32, 0.12) * grain
    slab = np.where((u * 4 % 1 < 0.05) | (v * 4 % 1 < 0.05), 0.72, 1.0) * cells(4, 0.08) * grain
    asphalt = grain * noise(0.8, 0.07) * noise(14, 0.05)
    tracks = asphalt * (1 - 0.09 * sum(np.exp(-(((u - c) / 0.035) ** 2)) for c in (0.2, 0.36, 0.64, 0.8)))
    worn = noise(2, 0.25) > 0.72
    leaves = noise(1.2, 0.22) * noise(4, 0.22)
    round_ = 0.55 + 0.75 * np.sqrt(np.clip(1 - ((u - 0.4) / 0.65) ** 2, 0, 1))
    wheel = disc(0.2, 0.3, 0.078, 0.3) | disc(0.8, 0.3, 0.078, 0.3)
    hub = disc(0.2, 0.3, 0.045, 0.17) | disc(0.8, 0.3, 0.045, 0.17)
    sill = v < 0.46
    lamp = box(0.02, 0.2, 0.55, 0.85) | box(0.8, 0.98, 0.55, 0.85)
    plate = box(0.36, 0.64, 0.3, 0.46)
    fascia = np.where(plate, 4.5, 1.0) * np.where(v < 0.12, 0.7, 1.0)
    radius = np.hypot(u - 0.5, v - 0.5) * 2
    legs, head = v < 0.47, v > 0.855
    hands = ((abs(u - 0.5) > 0.27) & (v < 0.5) & (v > 0.4)) | (head & (v < 0.95))
    bulbs = disc(0.5, 0.8, 0.3, 0.11), disc(0.5, 0.5, 0.3, 0.11), disc(0.5, 0.2, 0.3, 0.11)
    shutter = np.asarray(((u * 2 % 1 > 0.12) & (u * 2 % 1 < 0.26)) | ((u * 2 % 1 > 0.74) & (u * 2 % 1 < 0.88)))
    shutter &= (v * 2 % 1 > 0.25) & (v * 2 % 1 < 0.8)
    plaster = bays((0.28, 0.72, 0.27, 0.78), 0.03, 2, grain)
    balcony = (v * 2 % 1 < 0.26) & (v * 2 % 1 > 0.04)
    french = bays((0.25, 0.75, 0.08, 0.8), 0.03, 2, grain)
    cloud = np.clip((noise(11, 0.5) * noise(5, 0.2) - 0.85) * 1.3, 0, 1)
    tiles: dict[str, tuple[Any, Any, Any]] = {
        "plain": (grain, zero, zero),
        "asphalt": (asphalt, zero, zero),
        "road": (tracks, worn & ((box(0.492, 0.508, 0, 0.42)) | (abs(abs(u - 0.5) - 0.475) < 0.008)), zero),
        "avenue": (tracks, worn & ((abs(abs(u - 0.5) - 0.014) < 0.006) | ((abs(abs(u - 0.5) - 0.27) < 0.007) & (v < 0.3))), zero),
        "zebra": (asphalt, worn & (u * 9 % 1 < 0.5), zero),
        "slabs": (slab, zero, zero),
        "kerb": (grain * (0.7 + 0.5 * v), zero, zero),
        "grass": (noise(0.8, 0.14) * noise(5, 0.12), zero, zero),
        "brick": (brick, zero, zero),
        "sash": bays((0.3, 0.7, 0.25, 0.78), 0.045, 2, brick),
        "arched": bays((0.34, 0.66, 0.14, 0.86), 0.06, 2, slab),
        "shutters": (plaster[0], plaster[1] | shutter, plaster[2]),
        "balcony": (np.where(balcony, 0.75 + 0.4 * (u * 24 % 1 < 0.3), french[0]), french[1] | balcony, french[2] & ~balcony),
        "bands": bays((0.0, 1.0, 0.32, 0.8), 0.05, 2, grain),
        "glazed": bays((0.04, 0.96, 0.06, 0.9), 0.04, 3, grain),
        "shop": (
            np.where(box(0.06, 0.94, 0.1, 0.68), 0.6 + 0.9 * cells(6, 0.4) * v, grain * np.where(box(0.15, 0.6, 0.8, 0.9), 1.5, 1.0)),
            (v > 0.74) | box(0.68, 0.92, 0, 0.7) & ~box(0.7, 0.9, 0.2, 0.66),
            box(0.06, 0.94, 0.1, 0.68) & ~box(0.66, 0.7, 0, 1) & ~box(0.34, 0.36, 0, 1),
        ),
        "roof": (grain * (0.8 + 0.35 * (v * 14 % 1)) * cells(14, 0.12), zero, zero),
        "leaf": (leaves * (0.62 + 0.55 * v), zero, zero),
        "hedge": (noise(1.2, 0.2) * noise(3, 0.12) * (0.75 + 0.35 * v), zero, zero),
        "trunk": (round_ * noise(1.5, 0.12), zero, zero),
        "pole": (round_, zero, zero),
        "side": (np.where(hub, 3.5, np.where(abs(v - 0.85) < 0.03, 0.75, 0.85 + 0.2 * v)), sill | wheel, zero),
        "cabin": (0.8 + 0.5 * v, zero, (v > 0.1) & (v < 0.88) & (abs((u * 4.3 + 0.35) % 1 - 0.5) < 0.46)),
        "glass": (0.75 + 0.5 * v, zero, box(0.07, 0.93, 0.08, 0.94)),
        "panel": (np.where(lamp, 1.2, fascia), (v < 0.22) | plate | box(0.3, 0.7, 0.56, 0.76), lamp),
        "walker": (np.where(head & (v > 0.95), 0.4, np.where(v < 0.035, 0.3, 0.7 + 0.5 * round_) * noise(3, 0.1)), legs, hands),
        "ring": (zero + 1, radius > 0.74, (abs(u - 0.5) < 0.09) & (abs(v - 0.5) < 0.25) | disc(0.5, 0.62, 0.17)),
        "bar": (zero + 1, (abs(v - 0.5) < 0.1) & (abs(u - 0.5) < 0.34), zero),
        "board": (zero + 1, ~box(0.05, 0.95, 0.08, 0.92), (v * 4 % 1 > 0.35) & (v * 4 % 1 < 0.7) & box(0.14, 0.8, 0.12, 0.9)),
        "lights": (np.where(bulbs[1], 0.35, 1.0), bulbs[0] | bulbs[1], bulbs[2]),
        "cloud": (zero + 1, cloud, zero),
        "city": (cells(24, 0.3), zero, zero),
    }
    sheet = np.zeros((LEVELS * PITCH, len(tiles) * PITCH, 4), np.uint8)  # four channels: OpenCV remaps them twice as fast as three
    for column, (luma, second, third) in enumerate(tiles.values()):
        tile = np.dstack([luma * 64, second * 255.0, third * (1.0 - second) * 255.0]).clip(0, 255).astype(np.float32)
        for level in range(LEVELS):
            small = cv2.resize(tile, (TILE >> level, TILE >> level), interpolation=cv2.INTER_AREA)
            padded = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="wrap")
            scale = 1 << level
            big = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[scale - 1 :, scale - 1 :][:PITCH, :PITCH]
            sheet[level * PITCH : (level + 1) * PITCH, column * PITCH : (column + 1) * PITCH, :3] = big.round()
    return {name: number for number, name in enumerate(tiles)}, sheet
