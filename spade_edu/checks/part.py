"""Checks of whole modules: a class of the student's file is built, given weights and run beside the reference.

A `Part` is an exercise whose answer is a class. It is turned into a function of (options, weights, mode, inputs ...):
the class is built from `options` (by position), the weights are put into its parameters, each into the first one left
of its kind and shape, so that the student's names don't matter, and it is run on the inputs. From there on everything
is as for a function: values, side effects and gradients are compared, the weights' among them.

mode: "train" is one call in training mode, "twice" gives the result of a second one; "eval" comes after a call in
training mode, and through `state_dict` in a new object, so that what training leaves behind must have been registered.
"""

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case

Builder = Callable[..., nn.Module]
Shape = tuple[int, ...]
Order = Callable[[list[str]], list[str]]
GRADIENTS = ("x", "image", "z")  # the inputs that gradients are compared for
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class Part(Exercise):
    """An exercise whose answer is a class; make it with `part`.

    builder: builder(wrong) gives the class, or a function that makes objects, with the mistakes in the set `wrong`.
    orders: other orders in which a student may well have defined the same layers (beta before gamma, say); each puts
    the reference's names into it.
    """

    contract: str = ""
    builder: Callable[[Wrong], Builder] = field(default=lambda wrong: nn.Identity)
    orders: tuple[Order, ...] = ()
    wanted = "class"

    @property
    def signature(self) -> str:
        """How the class is built and called."""
        return self.contract

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The inputs' axes that may be cut to length 1; other ones belong to the options."""
        axes = {"x": ("n", "channels", "h", "w"), "segmap": ("n",), "z": ("n",)}
        return {name: letters for name, letters in axes.items() if name in self.parameters}

    def readings(self, answer: Callable) -> list[Callable]:
        """The class as a function, for each order in which its layers may have been defined."""
        return [self.as_function(answer, order) for order in (list, *self.orders)]

    def as_function(self, kind: Callable, order: Order = list, told: bool = True) -> Callable:
        """run(options, weights, mode, *inputs) for a class; told: unexpected parameters are explained."""

        def run(options: tuple, weights: dict[str, Tensor], mode: str, *inputs: Tensor) -> object:
            if self.unbegun(kind, options, inputs):
                return None
            network = self.built(kind, options, told).to(inputs[0].dtype).train()
            given = self.placed(network, options, {name: weights[name] for name in order(list(weights))})
            if mode != "train":
                torch.func.functional_call(network, given, inputs)
            if mode == "eval":
                network = restored(self.built(kind, options, told).to(inputs[0].dtype), network)
            return torch.func.functional_call(network, given, inputs)

        return run

    def unbegun(self, kind: Callable, options: tuple, inputs: tuple) -> bool:
        """Whether nothing is written yet: a module without the parameters that it should have, which gives nothing."""
        network = kind(*options)
        empty = isinstance(network, nn.Module) and not shapes(network)
        return empty and bool(shapes(self.builder(frozenset())(*options))) and network(*inputs) is None

    def built(self, kind: Callable, options: tuple, told: bool) -> nn.Module:
        """An object of the class, with as many parameters as it should have; else a Complaint."""
        network = kind(*options)
        if not isinstance(network, nn.Module):
            raise Complaint(f"{self.name} should make an nn.Module; it makes something of type {named(network)}.")
        expected, got = shapes(self.builder(frozenset())(*options)), shapes(network)
        if expected != got:
            raise Complaint(self.other_parameters(options, expected, got) if told else "It has other parameters.")
        return network

    def placed(self, network: nn.Module, options: tuple, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """{the network's name: weight}: each weight for the first parameter left of its shape.

        Where there are several, a bias goes to the layer that has its weight, and a norm's shift to no convolution.
        """
        kinds, left = dict(slots(self.builder(frozenset())(*options))), dict(slots(network))
        parameters = dict(network.named_parameters())
        given: dict[str, Tensor] = {}
        layers: dict[str, str] = {}  # the reference's: the network's
        for name, weight in weights.items():
            alike = [place for place, slot in left.items() if slot[1] == squeezed(weight)]
            layer, _, last = name.rpartition(".")
            place = f"{layers.get(layer)}.{last}".removeprefix(".")
            if place not in alike:
                place = next((place for place in alike if left[place] == kinds[name]), alike[0])
            layers.setdefault(layer, place.rpartition(".")[0])
            del left[place]
            given[place] = weight.view(parameters[place].shape)
        return given

    def other_parameters(self, options: tuple, expected: Counter, got: Counter) -> str:
        """A sentence on parameters that aren't those of the reference: a known mistake, or what is missing."""
        for name, message in self.mistakes.items():
            if got == shapes(self.builder(frozenset({name}))(*options)):
                return message
        missing, extra = listed(expected - got), listed(got - expected)
        numbers = f"It has {number(got):,} parameters; expected {number(expected):,}."
        if not extra:
            return (
                f"{numbers} Missing: {missing}. A layer counts that is an attribute, or in an nn.ModuleList (a plain "
                "Python list hides it)."
            )
        return f"{numbers} Too many: {extra}." + (f" Missing: {missing}." if missing else "")


def named(value: object) -> str:
    """The name of a value's type."""
    return type(value).__name__


def part(
    builder: Callable[[Wrong], Builder], inputs: tuple[str, ...], cases: Callable[[], list[Case]], **facts: Any
) -> Part:
    """A Part called by the reference class's name. inputs: the names of what it is called with."""
    kind: Any = builder(frozenset())

    def reference(*arguments: Any) -> object:
        return record.as_function(kind)(*arguments)

    names = ("options", "weights", "mode", *inputs)
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    reference.__name__ = facts["contract"].partition("(")[0]
    reference.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may have one

    def mistaken(wrong: Wrong, *arguments: Any) -> object:
        return record.as_function(builder(wrong), told=False)(*arguments)

    record = Part(reference=reference, mistaken=mistaken, builder=builder, cases=cases, **facts)
    return record


def trial(
    text: str,
    builder: Callable[[Wrong], Builder],
    options: tuple,
    inputs: tuple[Tensor, ...],
    mode: str = "train",
    fresh: bool = False,
) -> Case:
    """A case: an object built from `options`, with weights of its own unless it is to be used as it starts."""
    weights = {} if fresh else drawn_weights(builder(frozenset())(*options).to(inputs[0].dtype))
    words = {"train": "", "twice": ", the second call", "eval": ", evaluation after training"}
    return case(text + words[mode], options, weights, mode, *inputs, gradient=("weights", *GRADIENTS))


def drawn_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights away from zero. Under spectral norm they have rank one: one step finds sigma, wherever it starts."""
    weights = {name: (0.4 * torch.randn(p.shape) + 0.1).to(p.dtype) for name, p in network.named_parameters()}
    for name, module in network.named_modules():
        if hasattr(module, "power_iteration"):
            key = f"{name}.weight".removeprefix(".")
            rows, columns = weights[key].shape[0], weights[key][0].numel()
            weights[key] = torch.outer(torch.randn(rows), torch.randn(columns)).view_as(weights[key]).to(weights[key])
    return weights


def exchanged(first: str, second: str) -> Order:
    """The order in which what is called by the one word stands where the other is, and the other way round."""
    words = {first: second, second: first}

    def order(names: list[str]) -> list[str]:
        found = [next((word for word in words if word in name), "") for name in names]
        return [name.replace(word, words[word]) if word else name for name, word in zip(names, found)]

    return order


def earlier(word: str) -> Order:
    """The order in which all that is called by a word comes first."""
    return lambda names: sorted(names, key=lambda name: word not in name)


def slots(network: nn.Module) -> list[tuple[str, tuple[bool, Shape]]]:
    """Each parameter's name, and what it is told by: whether it is a convolution's or linear layer's, and its shape."""
    found = []
    for prefix, module in network.named_modules():
        for name, p in module.named_parameters(recurse=False):
            found.append((f"{prefix}.{name}".removeprefix("."), (isinstance(module, LAYERS), squeezed(p))))
    return found


def squeezed(tensor: Tensor) -> Shape:
    """A shape without its ones: (1, c, 1, 1) is as good as (c,)."""
    return tuple(side for side in tensor.shape if side != 1)


def shapes(network: nn.Module) -> Counter:
    """How many parameters of each shape there are."""
    return Counter(squeezed(p) for p in network.parameters())


def number(found: Counter) -> int:
    """How many numbers they are, all together."""
    return sum(times * int(torch.Size(shape).numel()) for shape, times in found.items())


def listed(found: Counter) -> str:
    """The shapes in words."""
    texts = [f"{times} of shape {shape}" for shape, times in found.items()]
    return ", ".join(texts[:4]) + (" ..." if len(texts) > 4 else "")


def restored(fresh: nn.Module, network: nn.Module) -> nn.Module:
    """A new object with another one's stored state, in evaluation mode."""
    fresh.load_state_dict(network.state_dict())
    return fresh.eval()
