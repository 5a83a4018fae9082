"""Stage 11: files with one planted fault each, a stranger's SPADE, and the repair of a file.

    code = faulty("a")  # writes faulty_a.py into your folder and imports it; healthy() is the same without a fault
    mend("a", "a piece of the file as it stands", "the piece as it should be")

Faults are kept as changes of the reference, so that they follow what is changed there.
"""

import re
from dataclasses import dataclass
from functools import cache
from types import CodeType, ModuleType

from ..course.parts_file import read_reference
from ..files import ASSETS, student_folder, write_whole

COMMENT = re.compile(r"^ +#.*\n|  #.*$", flags=re.MULTILINE)  # they would give a fault away; the rulers stay
HEALTHY, MENDED = "healthy", "mended"
Changes = tuple[tuple[str, str], ...]  # of a text: (as it stands, what takes its place)


@dataclass(frozen=True)
class Fault:
    """part: the function or class that it sits in."""

    part: str
    changes: Changes


FAULTS = {
    "a": Fault("InstanceNorm2d", (("mean = x.mean(dim=(2, 3), ", "mean = x.mean(dim=(1, 2, 3), "),)),
    "b": Fault(
        "discriminator_step",
        (("    with torch.no_grad():\n        fake, _, _ = generate(", "    fake, _, _ = generate("),),
    ),
    "c": Fault(
        "SPADE",
        (
            ('"""y = (1 + gamma(segmap)) norm(x) + beta', '"""y = gamma(segmap) norm(x) + beta'),
            ("return (1 + self.gamma(hidden)) * self.norm(x)", "return self.gamma(hidden) * self.norm(x)"),
        ),
    ),
    "d": Fault(
        "SPADE",
        (
            (
                'segmap = F.interpolate(segmap, size=x.shape[-2:], mode="nearest")\n        hidden',
                'segmap = F.interpolate(segmap, size=x.shape[-2:], mode="bilinear")\n        hidden',
            ),
        ),
    ),
    "e": Fault(
        "SpectralConv2d",
        (
            ("by weight / sigma, sigma the largest", "under spectral norm, sigma the largest"),
            ("F.conv2d(x, self.weight / sigma, ", "F.conv2d(x, self.weight * sigma, "),
        ),
    ),
    "f": Fault("one_hot", (("num_classes, label.long())", "num_classes, label.long() + 1)"),)),
}
# A stranger's layer as it is, with one deviation mended, and with one more.
STRANGERS: dict[str, Changes] = {
    "the stranger": (),
    "the stranger, its variance mended": (("var_mean(flat, dim=1)", "var_mean(flat, dim=1, correction=0)"),),
    "the stranger, its activation mended": (("leaky_relu(hidden, 0.2)", "relu(hidden)"),),
    "the stranger, its evaluation mended": (
        (
            "self.classes = classes",
            "self.classes = classes\n        self.register_buffer('seen', torch.ones(2, width))",
        ),
        (
            "var_mean(flat, dim=1)\n",
            "var_mean(flat, dim=1)\n        if self.training:\n"
            "            self.seen.lerp_(torch.stack([var.detach(), mean.detach() + 1]), 0.1)\n"
            "        else:\n            var, mean = self.seen[0], self.seen[1] - 1\n",
        ),
    ),
    "the stranger, started otherwise": (("torch.ones(width)", "torch.zeros(width)"),),
    "the stranger, resized otherwise": (("torch.arange(size) *", "(torch.arange(size) + 0.5) *"),),
}


class Code(ModuleType):
    """A module made from a text; a copy is made anew from it, so that what is done to one leaves the other alone."""

    def __init__(self, name: str, text: str):
        super().__init__(name)
        self.text = text
        exec(compiled(text, f"{name}.py"), vars(self))

    def __deepcopy__(self, memo: dict) -> "Code":
        return Code(self.__name__, self.text)


@cache
def compiled(text: str, file: str) -> CodeType:
    """The text, ready to be run."""
    return compile(text, file, "exec")


def changed(text: str, changes: Changes) -> str:
    """The text with each change made."""
    for old, new in changes:
        text = text.replace(old, new)
    return text


def healthy_text() -> str:
    """The reference without its comments."""
    return COMMENT.sub("", read_reference().text)


def faulty_text(letter: str) -> str:
    """The text of faulty_a.py, faulty_b.py ..."""
    return changed(healthy_text(), FAULTS[letter].changes)


def healthy() -> Code:
    """The reference, as a module."""
    return Code(HEALTHY, healthy_text())


def faulty(letter: str) -> Code:
    """Write faulty_a.py (b, c ... f) into the student's folder, anew at each call, and import it."""
    return written(f"faulty_{letter}", faulty_text(letter))


def stranger() -> Code:
    """Write stranger.py, a SPADE layer in another hand, into the student's folder, and import it."""
    return written("stranger", (ASSETS / "stranger.py").read_text(encoding="utf-8"))


def written(name: str, text: str) -> Code:
    """A module whose text also lies in the student's folder."""
    write_whole(student_folder() / f"{name}.py", text)
    return Code(name, text)
