"""Style codes by recipe: which z a picture was made with, in words that a file can carry."""

import json
from pathlib import Path

import torch
from jaxtyping import Float, Integer, UInt8
from PIL import PngImagePlugin
from torch import Tensor

from ..data.files import open_picture
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..pictures import to_uint8
from .still import RECIPE

MOST_SEED = 2**31 - 1


def code(recipe: dict, z_dim: int) -> Float[Tensor, " z_dim"]:
    """The style code of a recipe.

        {"seed": 3}                                     z ~ N(0, 1), drawn from seed 3 (as `runs.generate` draws it)
        {"around": recipe, "step": s, "seed": 4}        sqrt(1 - s^2) z + s eps: again N(0, 1), but close to z
        {"between": [recipe, recipe], "at": t}          from one to the other, see `between`
        {"style": name, "z": [numbers]}                 the code itself, as an encoder gave it

    Errors: a UserError for anything else.
    """
    match recipe:
        case {"around": centre, "step": float(step), "seed": int(seed)} if 0 <= step <= 1:
            return (1 - step**2) ** 0.5 * code(centre, z_dim) + step * _normal(
                z_dim, MOST_SEED + seed
            )  # seeds of its own
        case {"between": [first, second], "at": int(at) | float(at)}:
            return between(code(first, z_dim), code(second, z_dim), at)
        case {"seed": int(seed)}:
            return _normal(z_dim, seed)
        case {"style": str(), "z": [*numbers]} if len(numbers) == z_dim:
            return torch.tensor(numbers)
    raise UserError(f"Not a recipe of a style code: {str(recipe)[:80]}. Expected for example {{'seed': 3}}.")


def _normal(z_dim: int, seed: int) -> Float[Tensor, " z_dim"]:
    return torch.randn(1, z_dim, generator=torch.Generator().manual_seed(seed))[0]


def between(a: Float[Tensor, " d"], b: Float[Tensor, " d"], t: float) -> Float[Tensor, " d"]:
    """The point at t of the arc from a to b, its length going evenly from |a| to |b| (spherical interpolation).

    The straight line passes nearer to 0 than any draw from N(0, 1) lies, and shows looks that are never drawn.
    """
    length = (1 - t) * a.norm() + t * b.norm()
    angle = torch.acos(torch.dot(a, b).div(a.norm() * b.norm()).clamp(-1, 1))
    if not 1e-3 < angle < torch.pi - 1e-3:  # one direction, opposite ones, or a length of zero: no arc to follow
        return (1 - t) * a + t * b
    arc = torch.sin((1 - t) * angle) * a / a.norm() + torch.sin(t * angle) * b / b.norm()
    return length * arc / torch.sin(angle)


def title(recipe: dict) -> str:
    """A recipe in a few words."""
    match recipe:
        case {"around": centre, "step": step, "seed": seed}:
            return f"{title(centre)} ± {step:g} (seed {seed})"
        case {"between": [first, second], "at": at}:
            return f"{title(first)} to {title(second)}: {at:.0%}"
        case {"style": style}:
            return str(style)
    return f"seed {recipe['seed']}"


def read_recipe(path: str | Path) -> dict:
    """The recipe in a PNG file that the sampler saved. Errors: a UserError where there is none."""
    try:
        with open_picture(Path(path), "a picture with a recipe", whole=False) as picture:
            assert isinstance(picture, PngImagePlugin.PngImageFile)
            recipe = json.loads(picture.text[RECIPE])
        title(recipe)
    except Exception as error:  # Pillow raises many kinds for broken files
        if not Path(path).exists():
            raise UserError(f"There is no file {path}.") from None
        raise UserError(
            f"{path} carries no recipe: expected a PNG saved by the sampler, not a copy of its pixels."
        ) from error
    return recipe


@torch.no_grad()
def draw(
    generator: Generator, labels: LabelSpace, label: Integer[Tensor, "h w"], instance: Integer[Tensor, "h w"],
    codes: Float[Tensor, "n d"] | None,
) -> UInt8[Tensor, "n h2 w2 3"]:  # fmt: skip
    """One picture for each style code, a single one without codes. The generator is in evaluation mode (`copies`)."""
    device = next(generator.parameters()).device
    segmap = labels.encode(label[None], instance[None]).to(device)
    if codes is not None:
        segmap, codes = segmap.expand(len(codes), -1, -1, -1), codes.to(device)
    return to_uint8(generator(segmap, codes))


def require_codes(generator: Generator) -> int:
    """The generator's z_dim. Errors: a UserError for a generator without a style code."""
    if generator.z_dim is None:
        raise UserError(
            f"This {type(generator).__name__} takes no style code z, so it has one look for a label map. Use one that "
            'was trained with style=True, for example spade_edu.runs.loading.load_stored("spade").'
        )
    return generator.z_dim
