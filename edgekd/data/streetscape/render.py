"""A small deferred renderer: flat textured faces under a pinhole camera, painted far to near. NumPy and OpenCV only.

Painting only writes face numbers, so the label map is exact by construction; colour is then computed for all pixels at once from their
face's plane, tile and paint.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.streetscape.atlas import LEVELS, PITCH, TILE, atlas
from edgekd.data.streetscape.bank import bank
from edgekd.data.streetscape.types import Camera, Floats, Image, Ints, Light

NEAR, SHADOWS, SKY_HAZE = 0.4, 45.0, 2600.0  # metres: near plane, shadows this far, haze of the sky


def _spans(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    """The indices start … start + count of every row, in one array, and the row each belongs to."""
    owner = np.repeat(np.arange(len(count)), count)
    return np.arange(len(owner)) - (np.cumsum(count) - count - start)[owner], owner


def _cross(a: Floats, b: Floats) -> Floats:
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _order(low: Floats, high: Floats) -> list[int]:
    """Paint order of boxes seen from the origin: whoever can hide another comes later.

    A plane between two boxes decides: the box on the eye's side cannot be hidden by the other. Boxes that no axis separates go by distance.
    """
    under = np.zeros((len(low), len(low)), bool)  # under[i, j]: i cannot hide j
    for near, far in zip(low.T, high.T, strict=True):
        below = far[:, None] <= near
        under |= below & (far <= 0)[:, None]
        under |= (below & (near >= 0)).T
    after = (under & ~under.T) * 1e6  # after[i, j]: j must wait for i
    score = np.linalg.norm(low + high, axis=1) - after.sum(0)
    order = []
    for _ in range(len(low)):
        pick = int(score.argmax())
        order.append(pick)
        score += after[pick]
        score[pick] = -np.inf
    return order


def _project(points: Floats, owner: Ints, focal: float, size: tuple[int, int]) -> tuple[Ints, list[NDArray[np.int32]]]:
    """Cut polygons at the near plane and project them.

    Args:
        points: Corners in camera axes, polygon after polygon.
        owner: The polygon that each belongs to.
        focal: Focal length in pixels.
        size: Height and width of the image.

    Returns:
        The polygons on screen, and their corners in sixteenths of a pixel.
    """
    ahead = points[:, 2] > NEAR
    if not ahead.any():
        return owner[:0], []
    first = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    following = np.arange(1, len(points) + 1)
    following[first - 1] = np.roll(first, 1)
    cut = np.flatnonzero(ahead != ahead[following])
    here, there = points[cut], points[following[cut]]
    copies = ahead.astype(np.intp)
    copies[cut] += 1
    points, owner = np.repeat(points, copies, axis=0), np.repeat(owner, copies)
    points[np.cumsum(copies)[cut] - 1] = here + (there - here) * ((here[:, 2:] - NEAR) / (here[:, 2:] - there[:, 2:]))
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2], np.float32)
    pixels = points[:, :2] * (np.array([focal, -focal], np.float32) / points[:, 2:]) + centre
    first = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    low, high = np.minimum.reduceat(pixels, first), np.maximum.reduceat(pixels, first)
    visible = (high > -1).all(1) & (low < 2 * centre + 1).all(1) & ((high - low).prod(1) > 2)
    corners = np.rint(pixels.clip(-4e4, 4e4) * 16).astype(np.int32)
    spans = zip(first[visible].tolist(), np.append(first[1:], len(owner))[visible].tolist(), strict=True)
    return owner[first[visible]], [corners[start:end] for start, end in spans]


def render(things: NDArray[np.void], camera: Camera, light: Light, size: tuple[int, int]) -> tuple[Image, Image]:
    """Draw things: the sky first, then what lies on the ground in the order given, then whatever stands in any order.

    Returns:
        Image, uint8 H×W×3 with 200 for 1.0, and its exact label map.
    """
    store = bank()
    focal = camera.focal * size[1]
    cy, sy, cp, sp = np.cos(camera.yaw), np.sin(camera.yaw), np.cos(camera.pitch), np.sin(camera.pitch)
    view = np.array([[cy, sp * sy, cp * sy], [0, cp, -sp], [-sy, sp * cy, cp * cy]], np.float32)

    # The faces of all things: u, v and origin in the world, relative to the eye; of interest if seen or throwing a shadow nearby.
    kind = things["kind"]
    face, thing = _spans(store.face_start[kind], store.face_count[kind])
    local = store.basis[face] * things["size"][thing, None]
    cos, sin = np.cos(things["yaw"])[thing, None], np.sin(things["yaw"])[thing, None]
    basis = np.stack([local[..., 0] * cos + local[..., 2] * sin, local[..., 1], local[..., 2] * cos - local[..., 0] * sin], 2)
    basis[:, 2] += (things["at"] - np.array([camera.x, camera.y, camera.z], np.float32))[thing]
    seen = ~store.solid[face] | (np.einsum("ij,ij->i", _cross(basis[:, 1], basis[:, 0]), basis[:, 2]) < 0)
    casts = store.casts[face] & (basis[:, 2, 2] < SHADOWS)
    use = np.flatnonzero(seen | casts)
    face, thing, basis, seen, casts = face[use], thing[use], basis[use], seen[use], casts[use]
    corner, owner = _spans(store.corner_start[face], store.corner_count[face])
    uv, spread = store.corners.take(corner, axis=0), np.repeat(basis, store.corner_count[face], axis=0)
    points = uv[:, :1] * spread[:, 0] + uv[:, 1:] * spread[:, 1] + spread[:, 2]

    # Painter's algorithm on numbers, 0 for the sky.
    drawn = seen[owner] & (owner > 0)
    shown, polygons = _project((points @ view)[drawn], owner[drawn], focal, size)
    upright = np.unique(thing[shown])
    upright = upright[kind[upright] >= store.grounds]
    starts = np.searchsorted(thing[owner], np.arange(len(things)))
    padded = np.append(points, points[-1:], axis=0)  # a thing at the end may have no corners left
    low, high = np.minimum.reduceat(padded, starts)[upright], np.maximum.reduceat(padded, starts)[upright]
    rank = np.arange(len(things))
    rank[upright[_order(low, high)]] = len(things) + np.arange(len(upright))
    queue = np.argsort(rank[thing[shown]], kind="stable")
    numbers = np.zeros(size, np.int32)
    for number, position in enumerate(queue.tolist(), 1):
        cv2.fillPoly(numbers, [polygons[position]], (number,), shift=4)
    shown = np.append(0, shown[queue])

    # Shadows fall on the ground and stay there.
    thrown = casts[owner]
    fallen = points[thrown] - (points[thrown, 1:2] + np.float32(camera.y)) * (light.sun / light.sun[1])
    shade = np.zeros(size, np.uint8)
    for polygon in _project(fallen @ view, owner[thrown], focal, size)[1]:
        cv2.fillPoly(shade, [polygon], (255,), shift=4)
    lying = int(np.count_nonzero(kind[thing[shown[1:]]] < store.grounds))
    shade = np.asarray(cv2.blur(shade, (3, 3)) & cv2.inRange(numbers, 1, lying))

    planes = _planes(face[shown], basis[shown] @ view, focal, light)
    colours = _colours(face[shown], basis[shown], things["paint"][thing[shown]], light)
    image = np.empty((*size, 3), np.uint8)
    step = max(1, 8192 // size[1])
    for top in range(0, size[0], step):
        part = slice(top, top + step)
        image[part] = _shade(numbers[part], shade[part], planes, colours, top - (size[0] - 1) / 2, light)
    return image, store.label[face[shown]][numbers]


def _planes(face: Ints, basis: Floats, focal: float, light: Light) -> Floats:
    """Three quadruples a face: rows that give (u, v, 1) / depth of a pixel as their product with (x, y, 1); behind them, tile and air."""
    store = bank()
    u, v, origin = basis.transpose(1, 0, 2)
    rows = np.stack([_cross(v, origin), _cross(origin, u), _cross(u, v)])
    volume = np.einsum("ij,ij->i", rows[2], origin)
    rows /= np.where(abs(volume) > 1e-9, volume, 1e-9)[:, None]
    metres, extent = store.metres[face].T, np.sqrt(np.einsum("ijk,ijk->ij", basis, basis)).T[:2]
    rows[:2] *= np.where(metres > 0, np.rint(extent / np.maximum(metres, 0.01)).clip(1), 1)[:, :, None]
    planes = np.zeros((3, len(face), 4), np.float32)
    planes[..., :3] = rows * np.array([1 / focal, -1 / focal, 1], np.float32)
    planes[0, :, 3], planes[1, :, 3] = store.column[face], -1 / light.haze
    planes[1, 0, 3] = -1 / SKY_HAZE
    return planes


def _colours(face: Ints, basis: Floats, paint: Floats, light: Light) -> Floats:
    """The paints of every face in its light, in 8 × 4 mixes: that is how finely the second and third paint's shares are told apart."""
    store = bank()
    normal = _cross(basis[:, 1], basis[:, 0])
    normal /= np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None] + np.float32(1e-9)
    lambert = np.where(store.solid[face], (normal @ light.sun).clip(0), np.float32(0.55))
    lit = light.sky_rgb * (0.8 + 0.2 * normal[:, 1:2]) + light.sun_rgb * lambert[:, None]
    slots = store.slots[face]
    glowing = np.where(slots[:, :, None] >= 3, np.maximum(lit, light.glow)[:, None], lit[:, None])
    glowing[0] = 1  # the sky
    paint = paint[np.arange(len(face))[:, None], slots] * glowing
    second, third = np.repeat(np.linspace(0, 1, 8), 4), np.tile(np.linspace(0, 1, 4), 8)
    mixes = 200 * np.array([(1 - second - third).clip(0), second, third], np.float32)
    colours = np.zeros((len(face), 32, 4), np.float32)
    colours[..., :3] = (paint.transpose(0, 2, 1).reshape(-1, 3) @ mixes).reshape(-1, 3, 32).transpose(0, 2, 1)
    return colours


def _shade(numbers: NDArray[np.int32], shade: Image, planes: Floats, colours: Floats, top: float, light: Light) -> Image:
    """Colour a strip of pixels; strips are small enough for the cache. Four floats are gathered at a time, as one complex number."""
    height, width = numbers.shape
    index = numbers.astype(np.intp)

    def gather(table: Floats, rows: Ints) -> Floats:
        quads = np.take(table.view(np.complex128), rows).view(np.float32).reshape(height, width, 4)
        return np.ascontiguousarray(quads.transpose(2, 0, 1))

    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = (np.arange(height, dtype=np.float32) + np.float32(top))[:, None]
    (ux, uy, u, column), (vx, vy, v, rate), (wx, wy, w, _) = (gather(plane, index) for plane in planes)
    depth = 1 / np.maximum(wx * x + wy * y + w, np.float32(1e-5))
    u, v = (ux * x + uy * y + u) * depth, (vx * x + vy * y + v) * depth
    step = cv2.log(np.maximum(abs(ux - u * wx), abs(vy - v * wy)) * depth)
    level = np.floor(step * np.float32(1 / np.log(2)) + np.float32(np.log2(TILE * 1.4))).clip(0, LEVELS - 1)
    map_x, map_y = (u - np.floor(u)) * TILE + column, (v - np.floor(v)) * TILE + (level * PITCH + np.float32(0.5))
    luma, second, third, _ = cv2.split(cv2.remap(atlas()[1], map_x, map_y, cv2.INTER_LINEAR))
    clear = cv2.exp(depth * rate)
    luma = luma * clear * (np.float32(1 / 64) - np.float32(light.shadow / 64 / 255) * shade)
    mixed = gather(colours, index * 32 + ((second >> 5 << 2) | (third >> 6)))
    air = 200 - 200 * clear
    return np.asarray(cv2.merge([cv2.convertScaleAbs(mixed[c] * luma + air * light.haze_rgb[c]) for c in range(3)]), np.uint8)
