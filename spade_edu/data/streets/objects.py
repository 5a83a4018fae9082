"""How the things look: cars, people, trees, poles, each a few polygons drawn with Pillow, far to near.

Two pictures are drawn side by side: `look` (colour, and in the fourth channel how much it shines at night) and `facts`
(sun, snow, number of the thing). `spill` holds what things do to the ground: its shadows and pools of light.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .scene import CLASS, Colour, Dice, Layout, Thing

Point = tuple[float, float]  # (u, v) in the picture, or pixels
At = Callable[[float, float], Point]  # metres beside and above a thing's foot -> (u, v)
See = Callable[[float, float, float], Point]  # metres along, across and above a vehicle -> (u, v)

GLASS, DARK, CHROME = (64, 76, 90), (34, 34, 38), (150, 150, 152)
CLASS_OF = {
    "car": "car", "bus": "bus", "truck": "truck", "person": "person", "lamp": "pole", "sign": "pole", "bin": "static",
    "traffic light": "pole", "broad tree": "vegetation", "tall tree": "vegetation", "fir": "vegetation",
}  # fmt: skip
THIN = 0.04  # no pole is thinner than this part of the picture's height: it has to be seen at 64 x 128
# Side views, rear to front: (metres along, height, what the face up to the next point is).
PROFILES: dict[str, tuple[tuple[float, float, str], ...]] = {
    "saloon": ((0, 0.35, "body"), (0, 0.95, "body"), (0.8, 1.0, "glass"), (1.35, 1.46, "roof"), (2.6, 1.46, "glass"),
               (3.3, 1.0, "body"), (4.3, 0.8, "body"), (4.3, 0.35, "")),
    "hatchback": ((0, 0.35, "body"), (0, 0.98, "glass"), (0.4, 1.52, "roof"), (2.3, 1.52, "glass"), (3.0, 1.0, "body"),
                  (3.8, 0.85, "body"), (3.8, 0.35, "")),
    "van": ((0, 0.35, "body"), (0, 1.15, "glass"), (0.12, 1.95, "roof"), (3.2, 1.95, "glass"), (3.9, 1.15, "body"),
            (4.6, 0.95, "body"), (4.6, 0.35, "")),
    "bus": ((0, 0.4, "body"), (0, 1.5, "glass"), (0, 2.6, "sign"), (0, 3.1, "roof"), (9, 3.1, "sign"), (9, 2.6, "glass"),
            (9, 1.1, "body"), (9, 0.4, "")),
    "truck": ((0, 0.6, "box"), (0, 3.3, "box"), (5, 3.3, "box"), (5, 2.7, "roof"), (6.3, 2.7, "glass"), (6.6, 1.7, "body"),
              (6.7, 0.5, "")),
}  # fmt: skip
WIDTH = {"saloon": 1.8, "hatchback": 1.75, "van": 1.95, "bus": 2.5, "truck": 2.5}


class Sheet:
    """The pictures that things are drawn on, and the table of the things drawn: number -> (class id, depth)."""

    def __init__(self, street: Layout, depth: np.ndarray):
        self.street, self.camera, self.depth = street, street.camera, depth
        self.height, self.width = height, width = depth.shape
        self.look = Image.new("RGBA", (width, height))
        self.facts = Image.new("RGB", (width, height))
        self.spill = Image.new("RGB", (width, height))
        self._look, self._facts, self._spill = (ImageDraw.Draw(i) for i in (self.look, self.facts, self.spill))
        self.table = [(0, 1e4)]
        self.lit = 1.0

    def begin(self, name: str, thing: Thing, reach: float = 0.0) -> None:
        """Start a new thing of the class `name`."""
        self.table.append((CLASS[name], thing.z - reach))
        away = self.street.front[self.street.sun_side] - thing.x * self.street.sun_side
        shade = max(
            (w.height for w in self.street.walls if w.x * self.street.sun_side > 0 and w.z0 < thing.z < w.z1), default=0
        )
        self.lit = 1.0 if away > shade * self.street.sun_slope else 0.2

    def hides(self, left: float, right: float, top: float, bottom: float, depth: float) -> bool:
        """Whether everything in a box of the picture (u, v) is outside it or nearer than `depth`."""
        (x0, y0), (x1, y1) = ((max(int(x), 0), max(int(y), 0)) for x, y in self.scale([(left, top), (right, bottom)]))
        seen = self.depth[y0 : y1 + 2, x0 : x1 + 2]
        return not seen.size or seen.max() + 0.3 <= depth

    def scale(self, points: Sequence[Point]) -> list[Point]:
        """Picture coordinates (u, v) to pixels."""
        return [(u * self.width / 2 - 0.5, v * self.height - 0.5) for u, v in points]

    def polygon(
        self, points: Sequence[Point], colour: Colour, sun: float = 0.6, snow: float = 0.0, shine: float = 0.0,
        detail: bool = False,
    ) -> None:  # fmt: skip
        """Draw a polygon of (u, v); a detail lies on what is already drawn and leaves sun, snow and class alone."""
        self.fill(self.scale(points), colour, sun, snow, shine, detail)

    def fill(
        self, pixels: Sequence[Point] | Sequence[float], colour: Colour, sun: float, snow: float, shine: float = 0.0,
        detail: bool = False,
    ) -> None:  # fmt: skip
        """`polygon`, in pixels: points, or x, y, x, y ..."""
        self._look.polygon(pixels, fill=(*_bytes(colour), int(255 * shine)))
        if not detail:
            self._facts.polygon(pixels, fill=(int(255 * sun * self.lit), int(255 * snow), len(self.table) - 1))

    def disc(
        self, centre: Point, radius: float, colour: Colour, sun: float = 0.6, snow: float = 0.0, shine: float = 0.0,
        detail: bool = False,
    ) -> None:  # fmt: skip
        """Draw a disc around (u, v)."""
        (x, y), r = self.scale([centre])[0], radius * self.height
        half = r * self.width / self.height / 2
        box = (x - half, y - r, x + half, y + r)
        self._look.ellipse(box, fill=(*_bytes(colour), int(255 * shine)))
        if not detail:
            self._facts.ellipse(box, fill=(int(255 * sun * self.lit), int(255 * snow), len(self.table) - 1))

    def ground(self, x: float, z: float, across: float, along: float, shadow: float = 0.0, light: float = 0.0) -> None:
        """Darken (`shadow`) or brighten (`light`, at night) an ellipse on the ground around (x, z)."""
        z0, z1 = max(z - along, 2.5), max(z + along, 3.0)
        u0, u1 = (self.camera.project(x + side * across, 0, (z0 + z1) / 2)[0] for side in (-1, 1))
        low, high = self.camera.project(x, 0, z0)[1], self.camera.project(x, 0, z1)[1]
        (x0, y0), (x1, y1) = self.scale([(u0, high), (u1, low)])
        self._spill.ellipse((x0, y0, max(x1, x0), max(y1, y0)), fill=(int(255 * shadow), int(255 * light), 0))


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    return min(255, int(red)), min(255, int(green)), min(255, int(blue))


def _tint(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def draw_things(street: Layout, depth: np.ndarray) -> Sheet:
    """Draw all things of the street, far to near; `depth` (h, w) of the surfaces tells which trees they hide."""
    sheet = Sheet(street, depth)
    for thing in street.things:
        _spill(sheet, thing)
    for thing in street.things:
        DRAW[thing.kind](sheet, thing)
    return sheet


def _spill(sheet: Sheet, thing: Thing) -> None:
    """What a thing does to the ground: a lamp's pool of light, head and tail lights, everything else's shadow."""
    if thing.kind == "lamp":
        sheet.ground(thing.x + 1.2 * thing.heading, thing.z, 4.5, 4.5, light=0.45)
        sheet.ground(thing.x + 1.2 * thing.heading, thing.z, 2.6, 2.6, light=0.8)
    elif thing.kind in ("car", "bus", "truck"):
        length = PROFILES[thing.shape][-1][0]
        across, along = (1.0, length / 2) if abs(math.sin(thing.heading)) < 0.5 else (length / 2, 1.0)
        sheet.ground(thing.x, thing.z, across + 0.15, along + 0.2, shadow=0.75)
        if thing.heading == 0:
            sheet.ground(thing.x, thing.z + length / 2 + 3.5, 1.4, 3, light=0.5)
        elif thing.heading > 3:
            sheet.ground(thing.x, thing.z - length / 2 - 2.2, 1.4, 2, light=0.6)
    else:
        size = 2.2 if "tree" in thing.kind or thing.kind == "fir" else 0.5
        sheet.ground(thing.x - 0.6 * size * sheet.street.sun_side, thing.z, size, size * 0.55, shadow=0.6)


def _draw_vehicle(sheet: Sheet, thing: Thing) -> None:
    """An extruded side view: faces that look our way, each with its lights, panes and wheels."""
    profile, half = PROFILES[thing.shape], WIDTH[thing.shape] / 2
    sine, cosine, length = math.sin(thing.heading), math.cos(thing.heading), profile[-1][0]
    narrowing = 0.2 if thing.kind == "car" else 0.0  # of the cabin, per metre of height
    sheet.begin(CLASS_OF[thing.kind], thing, reach=length / 2 + 0.3)

    def see(along: float, across: float, y: float) -> Point:
        along -= length / 2
        across *= 1 - narrowing * max(0.0, min(y - 0.95, 0.6))
        x, z = thing.x + along * sine + across * cosine, thing.z + along * cosine - across * sine
        return sheet.camera.project(x, y, max(z, 2.0))

    sheet.polygon(
        [see(0, -half, 0.12), see(0, half, 0.12), see(length, half, 0.12), see(length, -half, 0.12)], DARK, 0.1
    )
    for end in (0.0, length):
        sheet.polygon([see(end, -half, 0.1), see(end, half, 0.1), see(end, half, 0.6), see(end, -half, 0.6)], DARK, 0.2)
    for (a0, y0, what), (a1, y1, _) in zip(profile, profile[1:]):
        face = [see(a0, -half, y0), see(a0, half, y0), see(a1, half, y1), see(a1, -half, y1)]
        if _faces_us(face):
            _draw_face(sheet, thing, see, half, (a0, y0), (a1, y1), what, face)
    for side in (-1, 1):
        outline = [see(a, side * half, y) for a, y, _ in profile]
        if _faces_us(outline[::-1] if side > 0 else outline):
            _draw_flank(sheet, thing, see, side * half, outline)


def _faces_us(points: list[Point]) -> bool:
    return sum(u0 * v1 - u1 * v0 for (u0, v0), (u1, v1) in zip(points, points[1:] + points[:1])) < 0


def _draw_face(
    sheet: Sheet, thing: Thing, see: See, half: float, first: Point, last: Point, what: str, face: list[Point]
) -> None:
    """One face of a vehicle between two points (along, height) of its profile, with its panes, lamps and plate."""
    (a0, y0), (a1, y1) = first, last
    flat = a0 != a1 and abs(y1 - y0) < 0.35
    colour = thing.accent if what == "box" else thing.colour
    tint, sun, snow = (1.12, 0.95, 0.9) if flat else (0.92, 0.5, 0.15)
    sheet.polygon(face, _tint(colour, tint), sun, snow)

    def patch(left: float, right: float, low: float, high: float, colour: Colour, shine: float = 0.0) -> None:
        at = [(a0 + (a1 - a0) * t, y0 + (y1 - y0) * t) for t in (low, high)]
        quad = [see(at[0][0], left * half, at[0][1]), see(at[0][0], right * half, at[0][1]),
                see(at[1][0], right * half, at[1][1]), see(at[1][0], left * half, at[1][1])]  # fmt: skip
        sheet.polygon(quad, colour, shine=shine, detail=True)

    if what == "glass":
        patch(-0.86, 0.86, 0.08, 0.92, GLASS, 0.15)
        patch(-0.7, -0.1, 0.5, 0.9, _tint(GLASS, 1.5), 0.15)
    elif what == "sign":
        patch(-0.7, 0.7, 0.2, 0.8, (60, 54, 40), 0.7)
    elif what == "box" and a0 == a1 == 0:
        patch(-0.9, 0.9, 0.06, 0.95, _tint(colour, 0.8))
        patch(-0.03, 0.03, 0.06, 0.95, DARK)
    if what in ("body", "box") and not flat and abs(y1 - y0) > 0.3 and min(y0, y1) < 0.9:
        lamp, lift = (240, 236, 214), (0.45, 0.08)
        if a0 < 1:  # the rear
            lamp, lift = (196, 34, 28), (0.62, 0.92)
        if what == "box":
            lift = (0.03, 0.16)
        for left in (-0.95, 0.6):
            patch(left, left + 0.35, *lift, lamp, 1.0)
        patch(-0.28, 0.28, lift[0] * 0.6, lift[0] * 0.6 + 0.22, (206, 206, 196))


def _draw_flank(sheet: Sheet, thing: Thing, see: See, across: float, outline: list[Point]) -> None:
    """The side of a vehicle at `across`: its outline filled, then panes or a box, then the wheels."""
    shape, length = thing.shape, PROFILES[thing.shape][-1][0]
    sheet.polygon(outline, _tint(thing.colour, 0.8), 0.6, 0.1)

    def panel(
        a0: float, a1: float, low: float, high: float, colour: Colour, slant: float = 0.0, shine: float = 0.0
    ) -> None:
        corners = ((a0, low), (a1, low), (a1 - slant, high), (a0 + slant, high))
        sheet.polygon([see(a, across, y) for a, y in corners], colour, shine=shine, detail=True)

    if shape == "truck":
        panel(0, 5.0, 0.9, 3.3, _tint(thing.accent, 0.82))
        panel(5.3, 6.2, 1.6, 2.5, GLASS)
    elif shape == "bus":
        panel(0, 9, 0.75, 0.95, _tint(thing.accent, 0.9))
        for start in range(0, 9):
            panel(start + 0.12, start + 0.9, 1.35, 2.55, GLASS, shine=0.75)
    else:
        roof = [(a, y) for a, y, what in PROFILES[shape] if y > 1.3]
        (rear, top), (front, _) = roof[0], roof[-1]
        middle, low = (rear + front) / 2, top - (0.65 if shape == "van" else 0.42)
        panel(rear - 0.25, middle - 0.05, low, top - 0.08, GLASS, 0.2)
        panel(middle + 0.05, front + 0.3, low, top - 0.08, GLASS, 0.2)
        panel(0.05, length - 0.05, 0.62, 0.68, _tint(thing.colour, 0.55))
    for along in (0.2 * length, 0.8 * length):
        rim = [see(along + 0.36 * math.cos(t), across, 0.36 + 0.36 * math.sin(t)) for t in _TURN]
        hub = [see(along + 0.19 * math.cos(t), across, 0.36 + 0.19 * math.sin(t)) for t in _TURN]
        sheet.polygon(rim, DARK, 0.4)
        sheet.polygon(hub, CHROME, detail=True)


_TURN = [k * math.pi / 5 for k in range(10)]


def _billboard(sheet: Sheet, thing: Thing) -> tuple[At, float]:
    """A function from metres beside and above the thing's foot to (u, v), and metres to parts of the height."""
    u, v = sheet.camera.project(thing.x, 0, thing.z)
    unit = sheet.camera.focal / thing.z
    return (lambda across, up: (u + across * unit, v - up * unit)), unit


def _draw_person(sheet: Sheet, thing: Thing) -> None:
    """Shoes, legs in stride, a coat, arms, head and hair, seen from the side or from behind."""
    sheet.begin("person", thing)
    dice, h, d = Dice(thing.number), thing.size, thing.heading
    at, unit = _billboard(sheet, thing)
    stride, skirt = dice.between(0.06, 0.3), dice.chance(0.3)
    trousers, skin = thing.accent, dice.pick(((224, 178, 148), (188, 138, 108), (120, 82, 60)))
    for foot in (-stride, stride):
        leg = [at(-0.16, 0.52 * h), at(0.16, 0.52 * h), at(foot + 0.12, 0.02), at(foot - 0.12, 0.02)]
        sheet.polygon(leg, _tint(trousers, 0.75 if foot < 0 else 0.95), 0.5)
        sheet.polygon(
            [at(foot - 0.1, 0.1), at(foot + 0.1 + 0.06 * d, 0.1), at(foot + 0.1 + 0.1 * d, 0), at(foot - 0.1, 0)],
            DARK,
            0.4,
        )
    hem = 0.32 * h if skirt else 0.46 * h
    coat = [
        at(-0.3, 0.8 * h),
        at(-0.14, 0.85 * h),
        at(0.14, 0.85 * h),
        at(0.3, 0.8 * h),
        at(0.31, hem),
        at(-0.31, hem),
    ]
    sheet.polygon(coat, thing.colour, 0.7, 0.15)
    sheet.polygon(
        [at(0, 0.84 * h), at(0.24, 0.8 * h), at(0.25, hem), at(0.05, hem)], _tint(thing.colour, 0.8), detail=True
    )
    for side in (-1, 1):
        arm = [
            at(side * 0.2, 0.81 * h),
            at(side * 0.3, 0.78 * h),
            at(side * (0.3 + stride / 2), 0.47 * h),
            at(side * (0.2 + stride / 2), 0.46 * h),
        ]
        sheet.polygon(arm, _tint(thing.colour, 0.9 if side * d > 0 else 0.7), 0.6)
    if dice.chance(0.4):
        sheet.polygon(
            [at(-d * 0.2, 0.8 * h), at(-d * 0.38, 0.76 * h), at(-d * 0.36, 0.55 * h), at(-d * 0.2, 0.55 * h)],
            dice.pick(((120, 60, 50), (60, 70, 90))),
            0.6,
        )
    _draw_head(sheet, at, unit, h, d, skin, dice.pick(((44, 34, 30), (96, 66, 40), (176, 150, 96), (130, 130, 130))))


def _draw_head(sheet: Sheet, at: At, unit: float, h: float, d: float, skin: Colour, hair: Colour) -> None:
    sheet.disc(at(0, 0.93 * h), 0.16 * unit, hair, 0.8, 0.3)
    sheet.disc(at(0.05 * d, 0.915 * h), 0.125 * unit, skin, detail=True)


def _draw_cyclist(sheet: Sheet, thing: Thing) -> None:
    """A bicycle from the side (two wheels, frame) and the rider on it."""
    at, unit = _billboard(sheet, thing)
    d, dice = thing.heading, Dice(thing.number)
    sheet.begin("bicycle", thing)
    for hub in (-0.52, 0.52):
        sheet.disc(at(hub, 0.36), 0.37 * unit, DARK, 0.4)
        sheet.disc(at(hub, 0.36), 0.28 * unit, (132, 132, 130), detail=True)
        sheet.disc(at(hub, 0.36), 0.07 * unit, DARK, detail=True)
    frame = dice.pick(((170, 40, 40), (40, 90, 150), (200, 180, 70)))
    for (a0, y0), (a1, y1) in (
        ((-0.52, 0.36), (-0.2, 0.85)),
        ((-0.2, 0.8), (0.4, 0.85)),
        ((0.0, 0.35), (0.42, 0.85)),
        ((0.4, 0.95), (0.52, 0.36)),
    ):
        bar = [at(d * a0 - 0.05, y0), at(d * a0 + 0.05, y0), at(d * a1 + 0.05, y1), at(d * a1 - 0.05, y1)]
        sheet.polygon(bar, frame, 0.6)
    sheet.begin("rider", thing._replace(z=thing.z - 0.01))
    for knee, foot in ((0.3, 0.02), (0.22, -0.06)):
        leg = [
            at(d * -0.26, 1.0),
            at(d * knee, 0.92),
            at(d * (foot + 0.18), 0.2),
            at(d * foot, 0.2),
            at(d * 0.1, 0.72),
            at(d * -0.3, 0.84),
        ]
        sheet.polygon(leg, _tint(thing.accent, 0.9 if foot > 0 else 0.7), 0.5)
    coat = [at(d * -0.36, 0.9), at(d * -0.16, 1.5), at(d * 0.1, 1.6), at(d * 0.22, 1.42), at(d * 0.04, 0.9)]
    sheet.polygon(coat, thing.colour, 0.7, 0.2)
    sheet.polygon(
        [at(d * 0.02, 1.5), at(d * 0.16, 1.4), at(d * 0.5, 1.08), at(d * 0.42, 0.98)], _tint(thing.colour, 0.8), 0.6
    )
    _draw_head(
        sheet,
        lambda a, y: at(a + 0.13 * d, y),
        unit,
        1.9,
        d,
        (214, 170, 140),
        dice.pick(((190, 60, 50), (50, 60, 90), (210, 210, 210))),
    )


def _draw_tree(sheet: Sheet, thing: Thing) -> None:
    """A trunk and a crown of many small clumps of leaves, dark below and bright towards the sun."""
    at, unit = _billboard(sheet, thing)
    fir, tall = thing.kind == "fir", thing.kind == "tall tree"
    height = thing.size * (7.5 if tall else 5.6)
    stem, wide = (0.8, 0.1) if fir else (height * 0.36, 0.14)
    radius, half = 1.7 * thing.size * (0.75 if tall else 1.0), max(wide * unit, THIN * 0.45)
    (left, top), (right, bottom) = at(-radius - thing.size, height + thing.size), at(radius + thing.size, 0)
    if sheet.hides(left - half, right + half, top, bottom, thing.z - 1.0):
        return
    sheet.begin("vegetation", thing, reach=1.0)
    (u, foot), (_, fork) = at(0, 0), at(0, stem + 0.8)
    trunk = [(u - half * 1.3, foot), (u + half * 1.3, foot), (u + half, fork), (u - half, fork)]
    sheet.polygon(trunk, (92, 74, 58), 0.5)
    _draw_crown(sheet, thing, (u, foot), unit, stem, height - stem, radius)


def _draw_crown(
    sheet: Sheet, thing: Thing, foot: Point, unit: float, stem: float, height: float, radius: float
) -> None:
    """Clumps at chance places (t: how high, edge: how far to the right), low ones first; each a ragged star."""
    (count, leaf), fir = _clumps(thing.z), thing.kind == "fir"
    dice = Dice(thing.number)
    t, angle, far = dice.many(count, 3).T
    edge = np.sqrt(far) * np.cos(angle * 2 * math.pi)
    order = np.argsort(t + 0.3 * np.abs(edge), kind="stable")
    t, edge = t[order], edge[order]
    reach = radius * np.sqrt(np.maximum(0, 1 - (2 * t - 1) ** 2)) * 0.95  # a ball
    if fir:
        reach = radius * (1.05 - t)  # a cone
    bright, size, spin = dice.many(count, 3).T
    bright = 0.52 + 0.45 * t + 0.16 * edge * sheet.street.sun_side + 0.2 * bright
    size = thing.size * leaf * (0.4 + 0.25 * size) * (0.85 if fir else 1.0)
    turn = 6 * spin[:, None] + 0.7 * np.arange(9)
    star = size[:, None] * (1.0, 0.72, 0.95, 0.7, 1.05, 0.75, 0.9, 0.7, 0.95)
    u = foot[0] + ((edge * reach)[:, None] + star * np.cos(turn)) * unit
    v = foot[1] - ((stem + t * height)[:, None] + star * np.sin(turn)) * unit
    stars = np.stack([u * sheet.width / 2 - 0.5, v * sheet.height - 0.5], axis=-1).reshape(count, -1).tolist()
    for points, b, up in zip(stars, bright.tolist(), t.tolist()):
        sheet.fill(points, _tint(thing.colour, b), 0.2 + 0.7 * up, max(0.0, 1.3 * up - 0.35))


def _clumps(distance: float) -> tuple[int, float]:
    """How many clumps of leaves a tree has and how large they are: far trees need fewer."""
    if distance > 26:
        return 12, 1.4
    return (20, 1.15) if distance > 14 else (40, 1.0)


def _draw_post(sheet: Sheet, thing: Thing) -> tuple[float, float, float, float]:
    """A post as high as the thing; returns its top (u, v), its half width and metres to parts of the height."""
    sheet.begin("pole", thing)
    at, unit = _billboard(sheet, thing)
    half, colour = max(0.09 * unit, THIN / 2), (112, 114, 116)
    (u, foot), (_, top) = at(0, 0), at(0, thing.size)
    sheet.polygon([(u - half, foot), (u + half, foot), (u + half, top), (u - half, top)], colour, 0.5)
    sheet.polygon(
        [(u - half, foot), (u - half * 0.3, foot), (u - half * 0.3, top), (u - half, top)],
        _tint(colour, 1.35),
        detail=True,
    )
    return u, top, half, unit


def _draw_lamp(sheet: Sheet, thing: Thing) -> None:
    """A post, an arm over the road and the lamp at its end, which shines at night."""
    u, top, half, unit = _draw_post(sheet, thing)
    arm, thick = 1.5 * thing.heading * unit, max(0.1 * unit, THIN * 0.5)
    sheet.polygon(
        [(u - half, top), (u + arm, top - thick), (u + arm, top), (u - half, top + 1.3 * thick)],
        (112, 114, 116),
        0.7,
        0.5,
    )
    head = [
        (u + arm * 0.55, top + thick),
        (u + arm * 1.1, top + thick),
        (u + arm * 1.1, top - thick),
        (u + arm * 0.6, top - thick),
    ]
    sheet.polygon(head, (196, 192, 176), 0.7, 0.3, shine=1.0)


def _draw_sign(sheet: Sheet, thing: Thing) -> None:
    """A post and its sign: layers of one outline from the rim inwards, or an octagon with a bar."""
    u, top, half, unit = _draw_post(sheet, thing)
    sheet.begin("traffic sign", thing._replace(z=thing.z - 0.01))
    r = max(0.46 * unit, 0.055)
    if thing.shape == "round":
        sheet.disc((u, top), r, (190, 36, 36), 0.7, 0.1)
        sheet.disc((u, top), r * 0.66, (228, 226, 220), detail=True)
    elif thing.shape == "triangle":
        for size, colour in ((1.2, (190, 36, 36)), (0.68, (228, 226, 220))):
            points = [
                (u - r * size, top + r * size * 0.75),
                (u + r * size, top + r * size * 0.75),
                (u, top - r * size * 1.05),
            ]
            sheet.polygon(points, colour, 0.7, 0.1, detail=size < 1)
    elif thing.shape == "square":
        for size, colour in ((1.0, (226, 226, 222)), (0.85, (40, 84, 160)), (0.3, (226, 226, 222))):
            points = [
                (u - r * size, top - r * size),
                (u + r * size, top - r * size),
                (u + r * size, top + r * size),
                (u - r * size, top + r * size),
            ]
            sheet.polygon(points, colour, 0.7, 0.1, detail=size < 1)
    else:
        octagon = [
            (u + r * 1.08 * math.cos((k + 0.5) * math.pi / 4), top + r * 1.08 * math.sin((k + 0.5) * math.pi / 4))
            for k in range(8)
        ]
        sheet.polygon(octagon, (178, 32, 36), 0.7, 0.1)
        sheet.polygon(
            [
                (u - r * 0.7, top - r * 0.2),
                (u + r * 0.7, top - r * 0.2),
                (u + r * 0.7, top + r * 0.2),
                (u - r * 0.7, top + r * 0.2),
            ],
            (226, 226, 222),
            detail=True,
        )


def _draw_traffic_light(sheet: Sheet, thing: Thing) -> None:
    """A post and a box of three lamps, of which the thing's number says which is on."""
    u, top, half, unit = _draw_post(sheet, thing)
    sheet.begin("traffic light", thing._replace(z=thing.z - 0.01))
    r = max(0.15 * unit, 0.02)
    sheet.polygon(
        [
            (u - 1.7 * r, top + 3.6 * r),
            (u + 1.7 * r, top + 3.6 * r),
            (u + 1.7 * r, top - 3.6 * r),
            (u - 1.7 * r, top - 3.6 * r),
        ],
        (40, 42, 44),
        0.5,
        0.1,
    )
    for k, colour in enumerate(((226, 44, 36), (236, 176, 44), (60, 200, 96))):
        shown, shine = (colour, 1.0) if thing.number == k else (_tint(colour, 0.3), 0.0)
        sheet.disc((u, top + 2.2 * r * (k - 1)), r, shown, shine=shine, detail=True)


def _draw_bin(sheet: Sheet, thing: Thing) -> None:
    sheet.begin("static", thing)
    at, _ = _billboard(sheet, thing)
    sheet.polygon([at(-0.32, 0), at(0.32, 0), at(0.38, 1.0), at(-0.38, 1.0)], thing.colour, 0.6)
    sheet.polygon([at(-0.42, 1.0), at(0.42, 1.0), at(0.36, 1.18), at(-0.36, 1.18)], _tint(thing.colour, 0.6), 0.9, 0.9)


DRAW = {
    "car": _draw_vehicle, "bus": _draw_vehicle, "truck": _draw_vehicle, "person": _draw_person, "cyclist": _draw_cyclist,
    "broad tree": _draw_tree, "tall tree": _draw_tree, "fir": _draw_tree, "lamp": _draw_lamp, "sign": _draw_sign,
    "traffic light": _draw_traffic_light, "bin": _draw_bin,
}  # fmt: skip
