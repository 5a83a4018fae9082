"""Stage 11: measure what a planted fault does, mend it, and hold a stranger's layer against the course's."""

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

from ..files import ASSETS
from . import examine, has_check
from .calling import Complaint
from .exercise import Case, Exercise, Result, Wrong, case, variant
from .faults import FAULTS, HEALTHY, STRANGERS, Code, changed, faulty_text, healthy

QUIET, LOUD = 0.01, 0.1  # a measure's number: at most, where its fault isn't; at least, where it is

# --- 11.1 to 11.6: a measure for each fault ---


def measure_a(code: ModuleType) -> float:
    """How far the mean of a channel of one picture is from 0 after instance norm, at most."""
    x = torch.randn(4, 3, 16, 16) + torch.tensor([-1.0, 0.0, 2.0])[:, None, None]
    return code.InstanceNorm2d(3)(x).mean(dim=(2, 3)).abs().max().item()


def measure_b(code: ModuleType) -> float:
    """The share of G's weights that a step of D leaves a gradient at."""
    generator = code.SPADEGenerator(2, (1, 1), ngf=1, hidden_channels=4)
    discriminator = code.MultiScaleDiscriminator(2, ndf=2)
    _, optimizer = code.make_optimizers(generator, discriminator)
    batch = {"segmap": torch.rand(1, 2, 32, 32), "image": torch.rand(1, 3, 32, 32)}
    code.discriminator_step(batch, generator, discriminator, optimizer)
    reached = [p.grad is not None and bool(p.grad.any()) for p in generator.parameters()]
    return sum(reached) / len(reached)


def measure_c(code: ModuleType) -> float:
    """How far the spread of SPADE's result is from 1, a plain norm's, as the published weights start."""
    layer = code.init_weights(code.SPADE(4, 3))
    y = layer(torch.randn(2, 4, 16, 16), torch.rand(2, 3, 16, 16))
    return abs(y.std().item() - 1)


def measure_d(code: ModuleType) -> float:
    """How far the label map that SPADE's first convolution gets is from 0 and 1, at most."""
    layer, seen = code.SPADE(2, 3), []
    layer.shared.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    segmap = F.one_hot(torch.randint(3, (1, 16, 16)), 3).movedim(-1, 1).float()
    layer(torch.randn(1, 2, 8, 8), segmap)
    return (seen[0] - seen[0].round()).abs().max().item()


def measure_e(code: ModuleType) -> float:
    """How far the largest singular value of the weight that SpectralConv2d convolves with is from 1."""
    conv = code.SpectralConv2d(6, 4, 1, bias=False)
    with torch.no_grad():
        conv.weight.mul_(5)
        for _ in range(200):  # power iteration, a step a call
            conv(torch.rand(1, 6, 1, 1))
        used = conv(torch.eye(6)[:, :, None, None]).flatten(1)
    return abs(torch.linalg.matrix_norm(used, 2).item() - 1)


def measure_f(code: ModuleType) -> float:
    """The share of pixels whose channel isn't their id."""
    label = torch.randint(5, (1, 8, 8))
    return (code.one_hot(label, 5).argmax(1) != label).float().mean().item()


def _alarm(number: object, code: ModuleType) -> object:
    """What a measure's number says."""
    if number is ...:
        return number
    if isinstance(number, Tensor) and number.numel() == 1:
        number = number.item()
    if not isinstance(number, int | float):
        raise Complaint("Return a number.")
    if number >= LOUD:
        return f"an alarm ({LOUD} or more)"
    return f"no alarm ({QUIET} or less)" if number <= QUIET else f"neither ({QUIET} to {LOUD})"


def _files() -> list[Case]:
    """The healthy file and the six faulty ones."""
    healthy().make_optimizers(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))  # loads Adam, which takes seconds once
    files = [healthy(), *(Code(f"faulty_{letter}", faulty_text(letter)) for letter in FAULTS)]
    return [case(code.__name__, code, gradient=False) for code in files]


def _measure(
    letter: str, reference: Callable[[ModuleType], float], minutes: int, difficulty: int, *hints: str
) -> Exercise:
    """The exercise about one fault."""
    first, second, third = hints

    def mistaken(wrong: Wrong, code: ModuleType) -> float:
        any_fault = float(code.__name__ != HEALTHY)
        found = reference(code)
        return variant(
            wrong, found, never=0.0, always=1.0, reversed=float(found <= QUIET), any_fault=any_fault, between=0.05
        )

    return Exercise(
        stage="11",
        title=f"What is wrong with faulty_{letter}.py",
        goal="find a number that gives the fault away",
        minutes=minutes,
        difficulty=difficulty,
        reference=reference,
        cases=_files,
        mistaken=mistaken,
        mistakes={
            "never": f"It gives no alarm for any file: what it measures is the same in faulty_{letter}.py and in the "
            "healthy one.",
            "always": "It gives an alarm for every file, the healthy one too.",
            "reversed": f"It is the wrong way round: {QUIET} or less where all is well, {LOUD} or more for "
            f"faulty_{letter}.py.",
            "any_fault": "It gives an alarm for each of the six faulty files: measure what this fault changes and the "
            "other five leave alone.",
            "between": f"For every file its number lies between {QUIET} and {LOUD}, which says neither.",
        },
        hints=(first, second, third),
        observe=_alarm,
        together=1,
    )  # fmt: skip


_MEASURES = (
    _measure(
        "a", measure_a, 20, 2,
        "Two uniform maps give a convolution's channel two different constants. Which layer of pix2pixHD takes a "
        "channel's constant away, and does it here?",
        "Give InstanceNorm2d noise whose channels have means of their own, and look at the means of what comes out, "
        "channel by channel and picture by picture.",
        "code.InstanceNorm2d(3)(x).mean(dim=(2, 3)).abs().max().item()",
    ),
    _measure(
        "b", measure_b, 20, 3,
        "Nothing that is computed is wrong, so something is computed that nobody needs. A step of D changes D; what "
        "else does it leave a trace in?",
        "Build small networks and make_optimizers, run one discriminator_step on a batch of random numbers, and look "
        "at p.grad of the generator's parameters.",
        "[p.grad is not None and bool(p.grad.any()) for p in generator.parameters()]",
    ),
    _measure(
        "c", measure_c, 15, 1,
        "A sum of nearly nothing is nearly nothing. What should SPADE give when all its weights are near zero?",
        "Build SPADE(4, 3), start it by init_weights, and compare the spread (std) of its result for random x with "
        "that of a plain norm, which is 1.",
        "abs(code.init_weights(code.SPADE(4, 3))(x, segmap).std().item() - 1)",
    ),
    _measure(
        "d", measure_d, 20, 2,
        "A pixel has one class, whatever the size of the map. Which numbers does SPADE's first convolution get?",
        "layer.shared.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) catches what that "
        "convolution gets. Give the layer a one-hot map twice as large as x.",
        "(seen[0] - seen[0].round()).abs().max().item()",
    ),
    _measure(
        "e", measure_e, 25, 3,
        "Which layer promises something about the size of its weight, whatever its parameters are?",
        "A 1x1 convolution without bias gives back its matrix, column by column, when it gets the rows of torch.eye as "
        "pictures of one pixel. Multiply its weight by 5 first, and call it often enough for power iteration to end.",
        "abs(torch.linalg.matrix_norm(used, 2).item() - 1)",
    ),
    _measure(
        "f", measure_f, 10, 1,
        "The file gets along with itself, not with others. What do two files have to agree on before a network of the "
        "one paints for the other?",
        "Give one_hot a map of known ids, and read them back: which channel is 1?",
        "(code.one_hot(label, 5).argmax(1) != label).float().mean().item()",
    ),
)  # fmt: skip


# --- 11.7 the six repairs ---


def repair(letter: str) -> tuple[str, str]:
    """For faulty_a.py, b, c, d, e, f: a piece of it as it stands, and the piece as it should be."""
    return {
        "a": ("mean = x.mean(dim=(1, 2, 3), keepdim=True)", "mean = x.mean(dim=(2, 3), keepdim=True)"),
        "b": (
            "fake, _, _ = generate(batch, generator, encoder)",
            "fake = generate(batch, generator, encoder)[0].detach()",
        ),
        "c": ("return self.gamma(hidden) * self.norm(x)", "return (1 + self.gamma(hidden)) * self.norm(x)"),
        "d": ('mode="bilinear")\n        hidden', 'mode="nearest")\n        hidden'),
        "e": ("self.weight * sigma", "self.weight / sigma"),
        "f": ("label.long() + 1", "label.long()"),
    }[letter]


STATES = {
    "missing": "the first text doesn't stand in the file; copy a piece of it, as it stands there",
    "many": "the first text stands in the file more than once; take more of it, or a line above or below",
    "unchanged": "both texts are the same",
    "broken": "the changed file can't be run",
    "faulty": "the file is changed, but it still does the same wrong thing",
    "refused": "the fault is gone, but the part does something else that is wrong",
    "mended": "the file does what it should",
}


def mend(letter: str, old: str, new: str) -> Result:
    """Try a repair: a piece of faulty_a.py (b, c ...) as it stands, and what takes its place. No file is changed."""
    name = f"faulty_{letter}.py"
    if letter not in FAULTS:
        return Result(name, False, f"there is no such file; the letters are {', '.join(FAULTS)}.")
    state, said = _mended(letter, old, new)
    return Result(name, state == "mended", STATES[state] + (f": {said}" if said else "."))


def _mended(letter: str, old: str, new: str) -> tuple[str, str]:
    """One of STATES, and what more there is to say."""
    text, number = faulty_text(letter), faulty_text(letter).count(old)
    if not old or number != 1:
        return ("many" if number > 1 and old else "missing"), ""
    if old == new:
        return "unchanged", ""
    try:
        code = Code(f"faulty_{letter}", text.replace(old, new))
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}."
    return _state(letter, code)


def _state(letter: str, code: Code) -> tuple[str, str]:
    """Whether the fault can't be measured any more, and the part passes its check, where it has one."""
    part = FAULTS[letter].part
    try:
        number = _MEASURES[list(FAULTS).index(letter)].reference(code)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}."
    if number > QUIET:
        return "faulty", ""
    result = examine(part, getattr(code, part)) if has_check(part) else None
    return ("mended", "") if result is None or result.passed else ("refused", result.message)


def _repair_cases() -> list[Case]:
    torch.optim.Adam([torch.zeros(1)])  # a process's first loads two seconds of torch: not in the answer's time
    return [case(f"faulty_{letter}.py", letter, gradient=False) for letter in FAULTS]


def _repaired(pair: object, letter: str) -> object:
    """What became of a file by a pair of texts."""
    if pair is ...:
        return pair
    if not isinstance(pair, tuple | list) or [type(text) for text in pair] != [str, str]:
        raise Complaint("Return two texts: a piece of the file as it stands, and as it should be.")
    return STATES[_mended(letter, *pair)[0]]


def _repair_mistaken(wrong: Wrong, letter: str) -> tuple[str, str]:
    old, new = repair(letter)
    return variant(
        wrong, (old, new), exchanged=(new, old), unchanged=(old, old), broken=(old, ")"), elsewhere=(old, old + " "),
        many=("self", "self"),
    )  # fmt: skip


_REPAIR = Exercise(
    stage="11",
    title="Six repairs",
    goal="name the piece of each file that is wrong, and mend it",
    minutes=20,
    difficulty=2,
    reference=repair,
    cases=_repair_cases,
    mistaken=_repair_mistaken,
    mistakes={
        "exchanged": "The first text doesn't stand in the file: return a piece of it as it stands there, then the "
        "piece as it should be.",
        "unchanged": "Both texts are the same: the second one is to mend the first.",
        "broken": "With the second text in the first one's place the file can't be run.",
        "elsewhere": "The file is changed, but it still does the same wrong thing: your measure says which part "
        "is ill.",
        "many": "The first text stands in the file more than once: take more of it, or a line above or below.",
    },
    hints=(
        "mend(letter, old, new) tries a repair and says what comes of it. Your measure knows which part is ill: read "
        "that one.",
        "Return a pair of texts for each letter, from a dictionary say; the first text must stand in the file just "
        "once. It may run over two lines.",
        '{"f": ("label.long() + 1", "label.long()"), ...}[letter]',
    ),
    observe=_repaired,
    together=1,
)  # fmt: skip


# --- 11.8 a stranger ---


def audit(code: ModuleType) -> dict[str, bool]:
    """Where Modulation departs from the course's SPADE: start, resize, activation, variance, evaluation.

    start: with weights of zero (biases as they start) it gives something else than the normalised features.
    resize: it takes other pixels of the label map than mode="nearest". activation: no ReLU between the convolutions.
    variance: not divided by n in training. evaluation: not by running averages (a tenth of the new value each call).
    """
    layer = code.Modulation(4, 3, 8)
    ids, feats = torch.randint(4, (2, 6, 9)), 3 * torch.randn(2, 3, 2, 3) + 1
    found = {}

    segmap = F.one_hot(ids, 4).movedim(-1, 1).float()
    found["resize"] = not torch.equal(layer.planes(ids, 2, 3), F.interpolate(segmap, size=(2, 3), mode="nearest"))

    seen: list[Tensor] = []
    handle = layer.heads.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(ids, feats)
    found["activation"] = bool(seen[0].min() < 0)
    handle.remove()

    white = layer.whiten(feats)
    found["variance"] = abs(white.var(correction=0).item() - 1) > 0.01

    torch.nn.init.zeros_(layer.heads.weight)
    found["start"] = not torch.allclose(layer(ids, feats), white, atol=1e-4)

    fresh = code.Modulation(4, 3, 8).eval()
    found["evaluation"] = not torch.allclose(fresh.whiten(feats), feats, atol=1e-3)
    return found


QUESTIONS = ("start", "resize", "activation", "variance", "evaluation")


def _strangers() -> list[Case]:
    text = (ASSETS / "stranger.py").read_text(encoding="utf-8")
    return [case(name, Code("stranger", changed(text, c)), gradient=False) for name, c in STRANGERS.items()]


def _findings(found: object, code: ModuleType) -> object:
    """The five answers, as True or False."""
    if found is ...:
        return found
    if not isinstance(found, dict) or set(found) != set(QUESTIONS):
        raise Complaint(f"Return a dictionary with True or False for {', '.join(QUESTIONS)}.")
    if not all(isinstance(value, bool) for value in found.values()):
        raise Complaint("Each finding is True or False; .item() or bool(...) makes one of a tensor.")
    return {name: "it departs" if found[name] else "it agrees" for name in QUESTIONS}


def _audit_mistaken(wrong: Wrong, code: ModuleType) -> dict[str, bool]:
    found = audit(code)
    given = dict(start=False, resize=False, activation=True, variance=True, evaluation=True)
    changes = {name: not departs for name, departs in given.items() if name in wrong}
    return given if "guessed" in wrong else found | changes


_AUDIT = Exercise(
    stage="11",
    title="A stranger's SPADE",
    goal="tell by measuring where another hand's SPADE departs from the course's, and where it only looks so",
    minutes=45,
    difficulty=3,
    reference=audit,
    cases=_strangers,
    mistaken=_audit_mistaken,
    mistakes={
        "start": "start always departs, you say. There is no 1 + in its code, but a bias of 1 does the same: with the "
        "weights at zero it gives the normalised features.",
        "resize": "resize always departs, you say. There is no F.interpolate in its code, but it may take the very "
        "same pixels: compare them.",
        "activation": "activation always agrees, you say. Look at what the second convolution gets: ReLU leaves "
        "nothing below 0.",
        "variance": "variance always agrees, you say. Take few pixels, where n and n - 1 differ, and look at the "
        "normalised features' own variance (correction=0).",
        "evaluation": "evaluation always agrees, you say. A new layer in evaluation mode has running averages of 0 and "
        "1, so it should leave features as they are.",
        "guessed": "It says the same of every stranger: it is tried on altered ones too, so measure.",
    },
    hints=(
        "Its methods can be called one by one: planes resizes, whiten normalises. What would the course's layer do "
        "with the same numbers?",
        "resize: planes against F.interpolate of the one-hot map, with sizes that don't divide evenly. activation: a "
        "forward pre-hook on heads. variance, evaluation: whiten on few pixels, in training and in a new layer in "
        "evaluation mode. start: zero the weight of heads.",
        'found["variance"] = abs(layer.whiten(feats).var(correction=0).item() - 1) > 0.01',
    ),
    observe=_findings,
)

EXERCISES = (*_MEASURES, _REPAIR, _AUDIT)
