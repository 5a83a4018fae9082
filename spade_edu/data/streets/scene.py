"""What stands where: one street, in metres, drawn by chance from (seed, index) and nothing else.

x runs to the right from the middle of the road, y up, z along the road, away from the camera. A curved road bends the
whole street: a point (x, y, z) is seen at x + curve * z^2. Nothing here knows the style or the size of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from ...labels import CITYSCAPES

Colour = tuple[float, float, float]  # red, green, blue in 0..255
Choice = TypeVar("Choice")

FAR = 110.0  # metres: the street ends here
PLASTER = (
    (214, 190, 150),
    (196, 170, 160),
    (176, 186, 190),
    (150, 156, 160),
    (120, 146, 176),
    (206, 202, 192),
)
BRICK = ((150, 84, 66), (128, 78, 70), (168, 112, 84))
CONCRETE = ((140, 140, 138), (118, 122, 126), (96, 116, 140))
ROOF = ((150, 74, 56), (98, 92, 94), (122, 84, 66), (84, 96, 110))
PAINT = (
    (58, 60, 66),
    (190, 192, 196),
    (150, 34, 36),
    (44, 74, 140),
    (118, 122, 126),
    (60, 104, 74),
    (212, 190, 96),
)
BUS = ((206, 168, 52), (176, 48, 44))
BOX = ((206, 206, 204), (228, 226, 220))
CLOTH = (
    (150, 84, 66),
    (46, 52, 70),
    (176, 60, 60),
    (70, 96, 120),
    (190, 180, 160),
    (60, 90, 66),
    (98, 98, 102),
)
HIGH_VISIBILITY = ((232, 128, 44), (222, 212, 70))
LEAVES = ((72, 108, 52), (94, 124, 54), (58, 92, 62), (126, 122, 56))


class Dice:
    """Chance as a few words; built on uniform numbers alone, whose stream is the same in every numpy."""

    def __init__(self, *key: int):
        self.generator = np.random.Generator(np.random.PCG64(key))

    def between(self, low: float, high: float) -> float:
        """A number from low to high."""
        return low + (high - low) * float(self.generator.random())

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.between(0, 1) < probability

    def many(self, count: int, each: int) -> np.ndarray:
        """`count` rows of `each` numbers from 0 to 1."""
        return self.generator.random((count, each))

    def pick(self, things: Sequence[Choice]) -> Choice:
        """One of the things, each as likely as the others."""
        return things[int(self.between(0, len(things)))]


class Camera(NamedTuple):
    """Where the picture is taken from; u in [0, 2] and v in [0, 1] are picture coordinates, v down."""

    height: float
    x: float
    horizon: float
    centre: float
    curve: float
    focal: float = 1.25

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Where the point (x, y, z) is seen: (u, v)."""
        scale = self.focal / z
        u = self.centre + scale * (x - self.x + self.curve * z * z)
        return u, self.horizon - scale * (y - self.height)


class Wall(NamedTuple):
    """A front along the road (a house, a fence ...) from z0 to z1 at `x`, with a side wall of `depth` facing us."""

    kind: str
    x: float
    z0: float
    z1: float
    height: float
    depth: float = 0.0
    colour: Colour = (0, 0, 0)
    accent: Colour = (0, 0, 0)
    bay: float = 3.0
    roof: str = "flat"
    brick: bool = False
    number: int = 0


class Thing(NamedTuple):
    """Anything small that stands on the ground at (x, z); `shape`: which vehicle or sign it is."""

    kind: str
    x: float
    z: float
    size: float = 1.0
    colour: Colour = (0, 0, 0)
    accent: Colour = (0, 0, 0)
    heading: float = 0.0
    number: int = 0
    shape: str = ""


@dataclass
class Layout:
    """A street: strips of ground by their outer |x| on each side, walls, things, the crossing and the sun."""

    camera: Camera
    strips: dict[int, list[tuple[float, str]]]
    front: dict[int, float]
    crossing: tuple[float, float] | None
    sun_side: int
    sun_slope: float
    lanes: float
    walls: list[Wall] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


def layout(seed: int, index: int) -> Layout:
    """Draw the street number `index` of `seed`."""
    dice = Dice(seed, index)
    lane = dice.between(3.0, 3.8)
    strips = {side: _strips(dice, lane) for side in (-1, 1)}
    front = {side: strips[side][-1][0] for side in (-1, 1)}
    camera = Camera(
        height=dice.between(1.5, 2.4),
        x=dice.between(0.2, 0.6) * lane,
        horizon=dice.between(0.4, 0.5),
        centre=1 + dice.between(-0.22, 0.22),
        curve=dice.between(-0.0035, 0.0035) if dice.chance(0.6) else 1e-6,
    )
    start = dice.between(11, 24)
    crossing = (start, start + dice.between(7, 9)) if dice.chance(0.5) else None
    street = Layout(camera, strips, front, crossing, dice.pick((-1, 1)), dice.between(0.25, 0.7), lane)
    for side in (-1, 1):
        _line_with_walls(dice, street, side, district=dice.pick(("town", "town", "suburb", "park")))
        _plant(dice, street, side)
        _furnish(dice, street, side)
    _add_traffic(dice, street)
    _add_people(dice, street)
    street.walls.sort(key=lambda wall: -wall.z1)
    street.things.sort(key=lambda thing: -thing.z)
    return street


def _strips(dice: Dice, lane: float) -> list[tuple[float, str]]:
    edge, strips = lane, [(lane, "road")]
    if dice.chance(0.35):
        edge += 2.3
        strips.append((edge, "parking"))
    if dice.chance(0.3):
        edge += dice.between(1.2, 2.2)
        strips.append((edge, "terrain"))
    edge += dice.between(2.2, 4.5)
    return [*strips, (edge, "sidewalk")]


def _line_with_walls(dice: Dice, street: Layout, side: int, district: str) -> None:
    x, z = side * street.front[side], -4.0
    built = {"town": 0.88, "suburb": 0.6, "park": 0.15}[district]
    tall = {"town": (8, 17), "suburb": (4.5, 7.5), "park": (5, 8)}[district]
    while z < FAR:
        end = min(z + dice.between(7, 16), FAR)
        if street.crossing and z < street.crossing[0] < end:
            end = street.crossing[0]
        if dice.chance(built):
            street.walls.append(_house(dice, x, z, end, dice.between(*tall)))
        else:
            _leave_open(dice, street, side, x, z, end)
        z = street.crossing[1] if street.crossing and end == street.crossing[0] else end


def _house(dice: Dice, x: float, z0: float, z1: float, height: float) -> Wall:
    brick = dice.chance(0.35)
    return Wall(
        "building", x, z0, z1, height, depth=dice.between(9, 14),
        colour=dice.pick(BRICK if brick else PLASTER + CONCRETE), accent=dice.pick(ROOF + PAINT[2:6]),
        bay=dice.between(2.2, 3.6), roof=dice.pick(("flat", "tiles", "tiles", "gable")), brick=brick,
        number=int(dice.between(0, 1000)),
    )  # fmt: skip


def _leave_open(dice: Dice, street: Layout, side: int, x: float, z0: float, z1: float) -> None:
    kind = dice.pick(("fence", "fence", "wall", "wall", "open")) if z0 < 32 else "open"
    if kind != "open":
        colour = dice.pick(BRICK + CONCRETE if kind == "wall" else ((96, 120, 84), (130, 104, 76), (120, 124, 128)))
        height = dice.between(1.8, 2.6)
        street.walls.append(Wall(kind, x, z0, z1, height, 0.3, colour, number=int(dice.between(0, 1000))))
    for _ in range(2):
        z = dice.between(max(z0, 6), z1)
        if z - z0 > 1 or kind == "open":
            street.things.append(_tree(dice, x + side * dice.between(2, 7), z))


def _tree(dice: Dice, x: float, z: float) -> Thing:
    kind = dice.pick(("broad tree", "broad tree", "tall tree", "fir"))
    return Thing(kind, x, z, dice.between(0.8, 1.25), dice.pick(LEAVES), number=int(dice.between(0, 1000)))


def _at_crossing(street: Layout, z: float, margin: float = 1.0) -> bool:
    return street.crossing is not None and street.crossing[0] - margin < z < street.crossing[1] + margin


def _plant(dice: Dice, street: Layout, side: int) -> None:
    if dice.chance(0.45):
        return
    kerb = street.strips[side][-2][0]
    first, z, step = _tree(dice, 0, 0), dice.between(7, 14), dice.between(8, 14)
    while z < 60:
        if not _at_crossing(street, z):
            tree = first._replace(x=side * (kerb + 0.7), z=z, number=int(dice.between(0, 1000)))
            street.things.append(tree._replace(size=first.size * dice.between(0.85, 1.1)))
        z += step


def _furnish(dice: Dice, street: Layout, side: int) -> None:
    """Lamps along the kerb, and by chance a sign, a bin and a traffic light."""
    kerb = side * (street.strips[side][-2][0] + 0.4)
    z, step = dice.between(6, 13), dice.between(12, 20)
    while z < 24:
        if not _at_crossing(street, z, 0):
            street.things.append(Thing("lamp", kerb, z, dice.between(5, 6.5), heading=-side))
        z += step
    if dice.chance(0.75):
        sign = Thing(
            "sign",
            kerb,
            dice.between(5.5, 11),
            dice.between(2.3, 2.8),
            shape=dice.pick(("round", "triangle", "square", "stop")),
        )
        street.things.append(sign)
    if dice.chance(0.15):
        street.things.append(Thing("bin", kerb + side, dice.between(6, 14), 1.0, dice.pick(PAINT)))
    if street.crossing:
        street.things.append(
            Thing("traffic light", kerb, street.crossing[0] - 0.6, 3.4, number=int(dice.between(0, 3)))
        )
    elif dice.chance(0.4):
        street.things.append(Thing("traffic light", kerb, dice.between(6.5, 10), 3.2, number=int(dice.between(0, 3))))


def _add_traffic(dice: Dice, street: Layout) -> None:
    """Vehicles in both lanes, parked at the sides, and perhaps one at the crossing."""
    for side, first in ((1, 8.0), (-1, 7.0)):
        z = first + dice.between(0, 10)
        while z < 32 and not dice.chance(0.2):
            heading = 0.0 if side > 0 else np.pi
            if not _at_crossing(street, z, 3):
                street.things.append(_vehicle(dice, side * street.lanes * dice.between(0.46, 0.56), z, heading))
            z += dice.between(9, 18)
    for side in (-1, 1):
        if ("parking" in [name for _, name in street.strips[side]]) or dice.chance(0.25):
            _park(dice, street, side)
    if street.crossing and dice.chance(0.6):
        middle = sum(street.crossing) / 2
        x = street.camera.x + dice.between(-6, 6)
        street.things.append(_vehicle(dice, x, middle, dice.pick((-1, 1)) * np.pi / 2))


def _park(dice: Dice, street: Layout, side: int) -> None:
    names = [name for _, name in street.strips[side]]
    x = side * (street.strips[side][0][0] + (1.15 if "parking" in names else -0.6))
    z = dice.between(5, 10)
    while z < 32:
        if dice.chance(0.6) and not _at_crossing(street, z, 3):
            street.things.append(_car(dice, x, z, 0.0 if side > 0 else np.pi))
        z += dice.between(5.6, 7)


def _vehicle(dice: Dice, x: float, z: float, heading: float) -> Thing:
    car = _car(dice, x, z, heading)
    kind = dice.pick(("car", "car", "car", "car", "bus", "truck")) if z < 18 else "car"
    if kind == "bus":
        return car._replace(kind=kind, shape=kind, z=z + 4, colour=dice.pick(BUS), accent=PLASTER[5])
    if kind == "truck":
        return car._replace(kind=kind, shape=kind, z=z + 4, accent=dice.pick(BOX))
    return car


def _car(dice: Dice, x: float, z: float, heading: float) -> Thing:
    shape = dice.pick(("saloon", "hatchback", "van"))
    colour = dice.pick(PAINT)
    return Thing("car", x, z, 1.0, colour, heading=heading, number=int(dice.between(0, 1000)), shape=shape)


def _add_people(dice: Dice, street: Layout) -> None:
    """People on the pavements, some before the crossing, and perhaps a cyclist in the road."""
    for _ in range(int(dice.between(1, 5))):
        side = dice.pick((-1, 1))
        inner, outer = street.strips[side][-2][0], street.front[side]
        x, z = side * dice.between(inner + 0.6, outer - 0.5), dice.between(4.3, 7.5)
        street.things.append(_person(dice, x, z))
    if street.crossing and street.crossing[0] < 13:
        for _ in range(int(dice.between(0, 3))):
            street.things.append(
                _person(dice, dice.between(-1, 1) * street.lanes, street.crossing[0] - dice.between(1.4, 2.6))
            )
    if dice.chance(0.55):
        x = dice.pick((-0.8, 0.85)) * street.lanes
        rider = _person(dice, x, dice.between(4.3, 6.2))
        street.things.append(rider._replace(kind="cyclist", colour=dice.pick(HIGH_VISIBILITY)))


def _person(dice: Dice, x: float, z: float) -> Thing:
    return Thing(
        "person", x, z, dice.between(1.6, 1.95), dice.pick(CLOTH), dice.pick(CLOTH),
        heading=dice.pick((-1, 1)), number=int(dice.between(0, 1000)),
    )  # fmt: skip


CLASS = {name: number for number, name in enumerate(CITYSCAPES.names)}
