"""The five styles: the same street by day, at dusk, at night, under cloud and in snow."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from .objects import Sheet
from .scene import CLASS, Colour, Layout
from .surfaces import Buffer, grain


class Style(NamedTuple):
    """Colours of light as factors of a surface's colour; sky and haze as colours in 0..255."""

    sky_top: Colour
    sky_low: Colour
    ambient: Colour
    sun: Colour
    haze: float
    cloud: Colour
    clouds: float
    lamps: float
    snow: float


STYLES = {
    "day": Style((72, 132, 208), (176, 210, 236), (0.60, 0.66, 0.76), (0.56, 0.50, 0.38), 0.002, (250, 250, 250), 0.75, 0.0, 0.0),
    "dusk": Style((86, 70, 124), (250, 158, 92), (0.50, 0.40, 0.46), (0.52, 0.26, 0.08), 0.0035, (214, 104, 96), 0.8, 0.55, 0.0),
    "night": Style((10, 14, 34), (34, 40, 74), (0.38, 0.42, 0.58), (0.07, 0.08, 0.12), 0.004, (40, 46, 74), 0.6, 1.0, 0.0),
    "overcast": Style((146, 152, 158), (190, 194, 196), (0.72, 0.74, 0.76), (0.08, 0.08, 0.08), 0.005, (122, 128, 136), 0.8, 0.0, 0.0),
    "snow": Style((188, 196, 208), (222, 226, 232), (0.80, 0.83, 0.90), (0.14, 0.13, 0.10), 0.005, (206, 212, 222), 0.5, 0.0, 1.0),
}  # fmt: skip


def shade(buffer: Buffer, sheet: Sheet, street: Layout, style: str) -> np.ndarray:
    """Light the scene: surfaces and things merged by depth, then sun, snow, haze, sky and glow; (h, w, 3) in 0..255."""
    look = STYLES[style]
    _merge(buffer, sheet)
    if look.snow:
        _let_it_snow(buffer)
    spill = np.asarray(sheet.spill.filter(ImageFilter.GaussianBlur(buffer.v.shape[0] / 90)), np.float32) / 255
    on_ground = ~buffer.thing
    sun = buffer.sun * (1 - spill[..., 0] * on_ground)
    dim = 1 - 0.45 * spill[..., 0] * on_ground
    light = np.array(look.ambient, np.float32) * dim[..., None] + np.array(look.sun, np.float32) * sun[..., None]
    if look.lamps:
        pool = spill[..., 1] * on_ground * (buffer.v > street.camera.horizon)
        light += (pool * look.lamps)[..., None] * np.array((0.75, 0.58, 0.30), np.float32)
    picture = buffer.colour * light
    if look.lamps:
        picture += _glow(buffer, look.lamps)
    haze = 1 - np.exp(-look.haze * np.maximum(buffer.depth - 6, 0))
    picture += haze[..., None] * (np.array(look.sky_low, np.float32) * 0.94 - picture)
    top = int(np.searchsorted(buffer.v[:, 0], street.camera.horizon)) + 1
    sky = buffer.kind[:top] == CLASS["sky"]
    np.copyto(picture[:top], _sky(buffer.v[:top], buffer.u, street, look, style), where=sky[..., None])
    return np.clip(picture, 0, 255)


def _merge(buffer: Buffer, sheet: Sheet) -> None:
    """Put the things that are nearer than the surfaces behind them into the buffer."""
    facts = np.asarray(sheet.facts)
    number = facts[..., 2]
    kinds, depths = (np.array(column) for column in zip(*sheet.table))
    depth = depths.astype(np.float32)[number]
    thing = (number > 0) & (depth < buffer.depth + 0.3)
    look = np.asarray(sheet.look)
    np.copyto(buffer.colour, look[..., :3], where=thing[..., None], casting="unsafe")
    for channel, values in (
        ("shine", look[..., 3] / np.float32(255)),
        ("sun", facts[..., 0] / np.float32(255)),
        ("snow", facts[..., 1] / np.float32(255)),
    ):
        np.copyto(getattr(buffer, channel), values, where=thing)
    np.copyto(buffer.depth, depth, where=thing)
    np.copyto(buffer.kind, kinds.astype(np.uint8)[number], where=thing)
    buffer.thing, buffer.number = thing, np.where(thing, number, 0)


def _let_it_snow(buffer: Buffer) -> None:
    cover = np.clip((buffer.snow - 0.3) * 2.2, 0, 0.93)
    white = (
        np.array((236, 239, 246), np.float32)
        * (1 + 0.04 * grain(buffer.v * 400 + 0 * buffer.u, buffer.u[None] * 400 + 0 * buffer.v))[..., None]
    )
    buffer.colour += cover[..., None] * (white - buffer.colour)


def _glow(buffer: Buffer, lamps: float) -> np.ndarray:
    """What shines by itself, and the halo around it: windows warm, lamps and lights in their own colour."""
    warm = np.where(buffer.thing[..., None], buffer.colour * 1.15, np.array((255, 196, 104), np.float32))
    own = warm * (buffer.shine * lamps)[..., None]
    height, width = buffer.shine.shape
    bright = Image.fromarray(np.clip(own, 0, 255).astype(np.uint8)).resize(
        (width // 2, height // 2), Image.Resampling.BOX
    )
    halo = bright.filter(ImageFilter.GaussianBlur(height / 60)).resize((width, height), Image.Resampling.BILINEAR)
    return own * 0.9 + np.asarray(halo, np.float32) * 0.75


def _sky(v: np.ndarray, u: np.ndarray, street: Layout, look: Style, style: str) -> np.ndarray:
    rise = np.clip((street.camera.horizon - v) / street.camera.horizon, 0, 1)
    part = (rise**0.8)[..., None]
    sky = np.array(look.sky_low, np.float32) * (1 - part) + np.array(look.sky_top, np.float32) * part
    shift = street.lanes * 1000
    across = (u[None] - 1) / (0.35 + rise)
    cloud = np.clip(grain(across * 40 + shift + 200, rise * 130 + 0 * across + shift) * 2.6 - 0.1, 0, 1) * look.clouds
    sky = sky + cloud[..., None] * (np.array(look.cloud, np.float32) - sky)
    if style == "night":
        stars = grain(u[None] * 997 + 0 * rise, rise * 991 + 0 * u) > 0.66
        sky = sky + (stars & (cloud < 0.1))[..., None] * 110.0
    return sky
