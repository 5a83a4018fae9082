"""How the large surfaces look, pixel by pixel: ground, fronts, tree line. Each fills the same buffer of channels.

The buffer holds what a style needs to light the scene: colour, distance, how much sun and snow a pixel gets, whether
it shines at night, and its class.
"""

from math import copysign

import numpy as np

from .scene import CLASS, FAR, Camera, Layout, Wall

Values = np.ndarray | float
Face = tuple[np.ndarray, Values, Values]  # colour, snow, shine of each pixel of a face

GROUND = {
    "road": (104, 104, 108),
    "parking": (128, 120, 116),
    "terrain": (104, 124, 70),
    "sidewalk": (150, 144, 138),
}


def _noise_tile(size: int = 256) -> np.ndarray:
    """Noise in [-1, 1] at several scales that repeats without a seam: the grain of everything."""
    generator = np.random.Generator(np.random.PCG64(7))
    tile = np.zeros((size, size), np.float32)
    for step, weight in ((1, 0.35), (4, 0.45), (16, 0.6), (64, 0.8)):
        coarse = generator.random((size // step, size // step)) * 2 - 1
        for axis in (0, 1):
            grid = np.arange(size) / step
            low = grid.astype(int)
            part = (grid - low) ** 2 * (3 - 2 * (grid - low))
            part = part[:, None] if axis == 0 else part
            first, second = np.take(coarse, low, axis), np.take(coarse, (low + 1) % (size // step), axis)
            coarse = first * (1 - part) + second * part
        tile += weight * coarse.astype(np.float32)
    return tile / np.abs(tile).max()


NOISE = _noise_tile()


def grain(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The noise at (a, b), in tile units."""
    return NOISE[a.astype(np.int32) & 255, b.astype(np.int32) & 255]


class Buffer:
    """Channels of the picture: colour (h, w, 3) in 0..255, depth in metres, sun, snow, shine in [0, 1], class id.

    thing, number: whether a pixel belongs to a thing, and to which of the sheet's table (light.py enters them).
    """

    def __init__(self, height: int, width: int):
        self.v = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
        self.u = (np.arange(width, dtype=np.float32) + 0.5) * 2 / width
        self.colour = np.zeros((height, width, 3), np.float32)
        self.depth = np.full((height, width), 1e4, np.float32)
        self.sun = np.zeros((height, width), np.float32)
        self.snow = np.zeros((height, width), np.float32)
        self.shine = np.zeros((height, width), np.float32)
        self.kind = np.full((height, width), CLASS["sky"], np.uint8)
        self.thing = np.zeros((height, width), bool)
        self.number = np.zeros((height, width), np.uint8)


def paint_surfaces(street: Layout, height: int, width: int) -> Buffer:
    """Ground, tree line and walls of the street, near to far, so that no hidden wall is painted."""
    buffer = Buffer(height, width)
    _paint_ground(buffer, street)
    _paint_tree_line(buffer, street)
    for wall in reversed(street.walls):
        _paint_front(buffer, street, wall)
        _paint_side(buffer, street, wall)
    return buffer


def _paint_ground(buffer: Buffer, street: Layout) -> None:
    """Every row below the horizon: which strip of ground each pixel sees, its grain, kerb and markings."""
    camera = street.camera
    top = int(np.searchsorted(buffer.v[:, 0], camera.horizon + 0.008))
    z = camera.height * camera.focal / (buffer.v[top:] - camera.horizon)
    x = (buffer.u - camera.centre) * (z / camera.focal) - camera.curve * z * z + camera.x
    left, right = street.strips[-1], street.strips[1]
    edges = [-edge for edge, _ in left[::-1]] + [edge for edge, _ in right]
    names = ["terrain", *[name for _, name in left[::-1]], *[name for _, name in right[1:]], "terrain"]
    strip = np.searchsorted(np.array(edges, np.float32), x.ravel()).reshape(x.shape)
    if street.crossing:
        strip[(z[:, 0] > street.crossing[0]) & (z[:, 0] < street.crossing[1])] = names.index("road")
    shown = np.array([GROUND[name] for name in names], np.float32)[strip]
    rough = grain(x * 9, z * 9) * (5 / (1 + z / 15)) + grain(x * 1.3, z * 1.3) * 7
    shown += rough[..., None]
    road = strip == names.index("road")
    shown *= _tiles(x, z, np.array([name == "sidewalk" for name in names])[strip])[..., None]
    grass = np.array([name == "terrain" for name in names])[strip]
    shown += (grass * grain(x * 25, z * 12) * 16)[..., None]
    kerb = (np.abs(np.abs(x - 0.0) - np.where(x < 0, left[-2][0], right[-2][0])) < 0.14) & ~road
    shown[kerb] = (172, 170, 166)
    paint = _markings(street, x, z) * road
    shown += (paint * 0.85)[..., None] * (np.array((222, 222, 214), np.float32) - shown)
    buffer.colour[top:], buffer.depth[top:] = shown, z
    buffer.kind[top:] = np.array([CLASS[name] for name in names], np.uint8)[strip]
    buffer.sun[top:] = _sunlit(street, x, z)
    tracks = np.abs(np.abs(np.abs(x) - street.lanes / 2) - 0.75) < 0.4
    swept = np.array([name == "sidewalk" for name in names])[strip]  # people clear their pavement, nobody the grass
    depth = np.where(road, np.where(tracks, 0.1, 0.42), np.where(swept, 0.36, 0.95))
    buffer.snow[top:] = depth + 0.18 * grain(x * 5, z * 3)


def _tiles(x: np.ndarray, z: np.ndarray, where: np.ndarray) -> np.ndarray:
    seam = ((x % 1.2 < 0.1) | (z % 1.2 < 0.1)) & where & (z < 18)
    return 1 - 0.13 * seam.astype(np.float32)


def _markings(street: Layout, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Where the road is painted white: dashes in the middle, lines at the edges, a zebra before the crossing."""
    lines = (np.abs(x) < 0.1) & (z % 5 < 2.6) | (np.abs(np.abs(x) - street.lanes + 0.35) < 0.07)
    if street.crossing:
        start = street.crossing[0]
        lines &= (z < start - 3.4) | (z > street.crossing[1])
        lines |= (z > start - 3) & (z < start - 0.4) & ((x + 0.4) % 1.1 < 0.6)
    return lines.astype(np.float32)


def _sunlit(street: Layout, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """1 in the sun, 0 in the shadow of the houses on the sun's side."""
    side = street.sun_side
    reach = np.zeros_like(z)
    for wall in street.walls:
        if wall.x * side > 0:
            reach[(z >= wall.z0 + 1) & (z < wall.z1 + 1)] = wall.height * street.sun_slope
    away = street.front[side] - x * side
    return ((away > reach) | (away < 0)).astype(np.float32)


def _paint_tree_line(buffer: Buffer, street: Layout) -> None:
    """Far trees along the horizon, so that no street ends in nothing."""
    camera = street.camera
    shift = street.walls[0].number * 0.37 if street.walls else 0
    crown = (
        camera.horizon
        - 0.04
        - 0.022 * grain(buffer.u * 60 + shift, buffer.u * 0 + 9)
        - 0.012 * np.sin(buffer.u * 9 + shift)
    )
    where = (buffer.v > crown) & (buffer.v < camera.horizon + 0.01)
    leaf = grain(buffer.u[None] * 300 + 0 * buffer.v, buffer.v * 300 + 0 * buffer.u)
    shown = np.array((84, 108, 66), np.float32) * (1 + 0.22 * leaf[..., None])
    _put(buffer, slice(None), slice(None), where, shown, FAR, 0.6, 0.35, 0, CLASS["vegetation"])


def _put(
    buffer: Buffer, rows: slice, columns: slice, where: np.ndarray, colour: np.ndarray, depth: Values, sun: Values,
    snow: Values, shine: Values, kind: int,
) -> None:  # fmt: skip
    """Write all channels of the pixels `where` of a part of the picture."""
    view = (rows, columns)
    np.copyto(buffer.colour[view], colour, where=where[..., None], casting="unsafe")
    for channel, value in (("depth", depth), ("sun", sun), ("snow", snow), ("shine", shine), ("kind", kind)):
        np.copyto(getattr(buffer, channel)[view], value, where=where, casting="unsafe")


def depth_of_plane(camera: Camera, u: np.ndarray, x: float) -> np.ndarray:
    """Distance at which each column u meets the plane at x: the nearer root of curve z^2 - s z + x = 0."""
    side, slope, offset = copysign(1, x), (u - camera.centre) / camera.focal, x - camera.x
    root = np.sqrt(np.maximum(slope * slope - 4 * camera.curve * offset, 0))
    missed = slope * slope < 4 * camera.curve * offset
    below = side * slope + root
    return np.where(missed | (below < 1e-4), 1e4, 2 * abs(offset) / np.maximum(below, 1e-4))


def _paint_front(buffer: Buffer, street: Layout, wall: Wall) -> None:
    z = depth_of_plane(street.camera, buffer.u, wall.x)
    inside = np.flatnonzero((z >= wall.z0) & (z < wall.z1))
    if len(inside):
        sun = 0.15 if wall.x * street.sun_side > 0 else 0.95
        columns = slice(inside[0], inside[-1] + 1)
        z = z[columns]
        _paint_wall(buffer, street.camera, wall, columns, z, z - wall.z0, wall.z1 - wall.z0, sun)


def _paint_side(buffer: Buffer, street: Layout, wall: Wall) -> None:
    if wall.z0 < 4:
        return
    camera, side = street.camera, copysign(1, wall.x)
    along = side * ((buffer.u - camera.centre) * wall.z0 / camera.focal - camera.curve * wall.z0**2 + camera.x - wall.x)
    inside = np.flatnonzero((along >= 0) & (along < wall.depth))
    if len(inside):
        columns = slice(inside[0], inside[-1] + 1)
        z = np.full(len(inside), wall.z0, np.float32)
        _paint_wall(buffer, camera, wall, columns, z, along[columns], wall.depth, 0.45)


def _paint_wall(
    buffer: Buffer, camera: Camera, wall: Wall, columns: slice, z: np.ndarray, along: np.ndarray, length: float,
    sun: float,
) -> None:  # fmt: skip
    """Paint one face: `z` and `along` (metres along the face) are given by column, `length` is its end."""
    ridge = wall.height + _ridge(wall, along, length)
    rise = np.max((ridge - camera.height) / z)
    drop = camera.height / np.min(z)
    rows = slice(
        *np.searchsorted(buffer.v[:, 0], (camera.horizon - camera.focal * rise, camera.horizon + camera.focal * drop))
    )
    y = camera.height + (camera.horizon - buffer.v[rows]) * (z / camera.focal)
    where = (y >= 0) & (y <= ridge) & (buffer.depth[rows, columns] > z)
    if not where.any():
        return
    along = np.broadcast_to(along, y.shape)
    if wall.kind == "building":
        colour, snow, shine = _house_front(wall, along, y, length)
    else:
        painter = {"wall": _wall_front, "fence": _fence_front}[wall.kind]
        colour, snow, shine = painter(wall, along, y)
    lit = sun * np.where(y > wall.height, 0.9, 1.0)
    _put(buffer, rows, columns, where, colour, z[None] + 0 * y, lit, snow, shine, CLASS[wall.kind])


def _ridge(wall: Wall, along: np.ndarray, length: float) -> np.ndarray:
    """How far the roof rises above the eaves along the face."""
    if wall.kind != "building" or wall.roof == "flat":
        return np.zeros_like(along)
    if wall.roof == "gable":
        return 2.6 * (1 - np.abs(2 * along / length - 1))
    chimney = np.abs(along - length * 0.7) < 0.5
    return np.minimum(2.0, np.minimum(along, length - along) * 3) + 0.9 * chimney


def _hash(a: np.ndarray, b: np.ndarray, number: int) -> np.ndarray:
    """A number in [0, 1) for each cell (a, b)."""
    cell = a.astype(np.int64) * 374761 + b.astype(np.int64) * 668265 + number * 9277
    return (cell * 2246822 % 65521 % 997).astype(np.float32) / 997


def _house_front(wall: Wall, along: np.ndarray, y: np.ndarray, length: float) -> Face:
    """Colour, snow, shine of a house: ground floor with shops, rows of windows, cornice, roof."""
    bays = max(round(length / wall.bay), 1)
    across, up = along * (bays / length), (y - 0.6) / 3.0
    column, floor = np.floor(across), np.floor(up)
    a, b = np.abs(across - column - 0.5), up - floor
    chance = _hash(column, floor, wall.number)
    texture = grain(along * 14, y * 14) * (0.10 if wall.brick else 0.05)
    shade = 1 + texture + 0.06 * grain(along * 2, y * 2)
    if wall.brick:
        shade -= 0.12 * ((y % 0.5 < 0.1) | ((along + 0.5 * (y % 1 < 0.5)) % 1 < 0.1))
    colour = np.array(wall.colour, np.float32) * shade[..., None]
    ground = floor < 1
    wide = np.where(ground, 0.40, 0.24 + 0.08 * (wall.number % 3))
    low, high = np.where(ground, 0.0, 0.22), np.where(ground, 0.62, 0.78)
    upright = (b > low) & (b < high) & (y < wall.height - 0.4)
    frame = (a < wide + 0.06) & (b > low - 0.06) & (b < high + 0.05) & (y < wall.height - 0.3) & ~ground
    glass = (a < wide) & upright & ((chance < 0.93) | ground) & (a > 0.025)
    colour[frame] = colour[frame] * 0.4 + 130
    pane = np.array((62, 76, 92), np.float32) + (60 * b * chance)[..., None]
    np.copyto(colour, pane, where=glass[..., None])
    band = ground & (b > 0.66) & (b < 0.92)
    colour[band] = np.array(wall.accent, np.float32) * 0.9
    colour[(y > wall.height - 0.35) & (y < wall.height)] *= 0.72
    colour[y < 0.6] *= 0.75
    roof = y > wall.height
    tiles = 1 - 0.15 * (y % 0.55 < 0.14) + texture
    if wall.roof != "gable":
        covered = np.array(wall.accent, np.float32) * 0.55 * tiles[..., None] + 40
        np.copyto(colour, covered, where=roof[..., None])
    shine = glass * np.where(chance < 0.38, 1.0, 0.0)
    snow = (
        np.where(roof, 0.95 if wall.roof == "tiles" else 0.1, 0.0)
        + 0.9 * ((y > wall.height - 0.3) & ~roof)
        + 0.8 * (frame & (b < low))
    )
    return colour, snow, shine


def _wall_front(wall: Wall, along: np.ndarray, y: np.ndarray) -> Face:
    """Colour, snow, shine of a low wall: courses of stone under a coping."""
    seams = (y % 0.45 < 0.07) | ((along + 0.6 * (y % 0.9 < 0.45)) % 1.2 < 0.08)
    shade = 1 + 0.12 * grain(along * 9, y * 9) - 0.16 * seams
    colour = np.array(wall.colour, np.float32) * shade[..., None]
    coping = y > wall.height - 0.22
    colour[coping] = colour[coping] * 0.5 + 80
    return colour, coping * 0.95, 0.0


def _fence_front(wall: Wall, along: np.ndarray, y: np.ndarray) -> Face:
    """Colour, snow, shine of a fence: pales and two rails before the dark of a hedge."""
    pale = along % 0.55 < 0.3
    rail = (np.abs(y - 0.35) < 0.1) | (np.abs(y - wall.height + 0.3) < 0.1)
    solid = pale | rail
    shade = np.where(solid, 1.0 - 0.15 * (along % 0.55 / 0.3) * pale, 0.42) + 0.08 * grain(along * 8, y * 8)
    return np.array(wall.colour, np.float32) * shade[..., None], 0.6 * (y > wall.height - 0.12), 0.0
