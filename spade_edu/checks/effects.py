"""What a call leaves changed in the lists, dictionaries and networks that it was given, in sentences."""

from collections import Counter
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class _Network:
    """What a caller may rely on in a network, besides the numbers in it."""

    modes: dict[str, bool]
    learns: dict[str, bool]
    has_gradient: frozenset[str]
    hooks: int

    @classmethod
    def of(cls, network: nn.Module) -> "_Network":
        """Its present state."""
        parameters = dict(network.named_parameters())
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        return cls(
            {name: module.training for name, module in network.named_modules()},
            {name: p.requires_grad for name, p in parameters.items()},
            frozenset(name for name, p in parameters.items() if p.grad is not None),
            sum(len(getattr(module, kind)) for module in network.modules() for kind in hooks),
        )


@dataclass(frozen=True)
class Watched:
    """A list, dictionary or network among the arguments, and what was in it before the call."""

    path: str
    value: object
    before: object


def watched(value: object, path: str) -> list[Watched]:
    """Everything inside an argument that a call could change without making a new object."""
    if isinstance(value, nn.Module):
        return [Watched(path, value, _Network.of(value))]
    if isinstance(value, list | tuple):
        inside = [found for i, item in enumerate(value) for found in watched(item, f"{path}[{i}]")]
        return [Watched(path, value, list(value)), *inside]
    if isinstance(value, dict):
        inside = [found for key, item in value.items() for found in watched(item, f"{path}[{key!r}]")]
        return [Watched(path, value, dict(value)), *inside]
    return []


def effects(things: list[Watched]) -> tuple[str, ...]:
    """A sentence for each of them that isn't as it was."""
    return tuple(text for thing in things if (text := _effect(thing)))


def _effect(thing: Watched) -> str:
    if isinstance(thing.value, nn.Module) and isinstance(thing.before, _Network):
        return _network_effect(thing.path, thing.before, _Network.of(thing.value))
    kind = "dictionary" if isinstance(thing.before, dict) else "list"
    if _same_entries(thing.before, thing.value):
        return ""
    return (
        f"The {kind} `{thing.path}` is changed in place by the call: the caller finds other entries in it afterwards. "
        f"Leave it as it is, or work on a copy ({'dict' if kind == 'dictionary' else 'list'}(...))."
    )


def _same_entries(before: object, after: object) -> bool:
    if isinstance(before, dict) and isinstance(after, dict):
        same_keys = list(before) == list(after)
        return same_keys and all(_same(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    return False


def _same(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a is b or (isinstance(a, int | float | str) and type(a) is type(b) and a == b)


def _network_effect(path: str, before: _Network, after: _Network) -> str:
    if before.modes.keys() != after.modes.keys() or before.learns.keys() != after.learns.keys():
        return f"`{path}` has other layers or parameters after the call than before: leave it as it is."
    if before.modes != after.modes:
        moved = Counter(after.modes[name] for name in after.modes if after.modes[name] != before.modes[name])
        mode = "training" if moved.most_common(1)[0][0] else "eval"
        return f"The call leaves `{path}` in {mode} mode: leave modes to the caller, or put them back."
    if before.learns != after.learns:
        stuck = any(before.learns[name] and not after.learns[name] for name in before.learns)
        rest = "off, so that it can't learn any more" if stuck else "on where it was off"
        return f"The call leaves weights of `{path}` with requires_grad {rest}: leave it as it is."
    if after.has_gradient - before.has_gradient:
        return (
            f"The call leaves gradients in the weights of `{path}`: it calls backward() itself. Return the result; "
            "the caller does the rest."
        )
    return f"The call leaves a hook on `{path}`: remove it." if after.hooks != before.hooks else ""
