"""A GPU that isn't there: tensors on a device of their own, while their numbers lie in the memory of the CPU.

What mixes devices fails as on a real one. What a GPU computes differently, and how fast, this can't tell. The device is
called "meta", the one device without a machine whose backward pass torch runs on the CPU.

    python tests/pretended_gpu.py notebooks/03_spade_layer.py [CELLS]     # run its (first) code cells on it
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from spade_edu import course

DEVICE = "meta"
aten = torch.ops.aten
MOVES = (aten._to_copy, aten.copy_)  # may have both devices
INDEXED = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index)  # by CPU indices


class Pretended(torch.Tensor):
    """A tensor on the pretended GPU; `inner` holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        layout = dict(strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype)
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, device=DEVICE, **layout)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Gpu(TorchDispatchMode):
    """While it is on, the device can be asked for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Lists(TorchFunctionMode):
    """Numbers of Python that go to the device, and come back: torch moves them unseen by modes, so in two steps."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist:
            return args[0].cpu().tolist()
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def compute(func, args, kwargs):
    """An operation, computed on the CPU; its result is where a GPU would leave it."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    ours = {id(t.inner): t for t in tensors if isinstance(t, Pretended)}
    if ours and func.overloadpacket not in MOVES:
        require_one_device(func, args, tensors)
    asked = kwargs.get("device")
    if asked is not None and torch.device(asked).type == DEVICE:
        require_no_cpu_generator(kwargs)
    there = bool(ours) if asked is None else torch.device(asked).type == DEVICE
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    inside = tree_map(lambda leaf: leaf.inner if isinstance(leaf, Pretended) else leaf, (args, kwargs))
    result = func(*inside[0], **inside[1])
    if func.overloadpacket is aten.copy_:
        return args[0]

    def outside(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if id(leaf) in ours and there:
            return ours[id(leaf)]
        if id(leaf) in ours:  # brought back without a copy
            return leaf.clone()
        return Pretended(leaf) if there else leaf

    return tree_map(outside, result)


def require_one_device(func, args, tensors):
    """As CUDA: numbers without a shape, and indices, may be on the CPU."""
    if func.overloadpacket in INDEXED:
        tensors = [args[0], *args[2:3]]
    wrong = [t for t in tensors if isinstance(t, torch.Tensor) and not isinstance(t, Pretended) and t.dim()]
    if wrong:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found a GPU and cpu ({func}).")


def require_no_cpu_generator(kwargs):
    """As CUDA: its random numbers come from a generator of its own."""
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RuntimeError("Expected a GPU's generator but found the CPU's")


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Here course.start chooses the profile of a GPU, and that device."""

    def start(stage):
        return replace(course.lab.start(stage, "gpu"), device=DEVICE)

    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a tensor here can't become one there
    try:
        with mock.patch.object(course, "start", start), Lists(), Gpu():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def run(source: str, count: int | None = None) -> None:
    """Run the code cells of a notebook's source in order, all or the first `count`."""
    import jupytext

    names = {"__name__": "__main__"}
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"][:count]
    for number, cell in enumerate(cells, 1):
        print(f"--- {number} of {len(cells)}", flush=True)
        exec(compile(cell.source, f"{source}, code cell {number}", "exec"), names)


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    with pretended_gpu():
        run(sys.argv[1], *map(int, sys.argv[2:]))
