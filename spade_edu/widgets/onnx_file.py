"""A generator as an ONNX file, which other programs run: a browser, for example.

onnx is an optional extra and imported here alone. torch's exporter runs the network once and writes down what it does.
"""

import io
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..config import TrainingConfig
from ..course.own_code import OwnGenerator
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace, one_hot
from ..models import build

OPSET = 17  # of ONNX: known to every runtime since 2022
NO_ONNX = 'The page needs the package onnx: pip install "spade-edu[page]", or pip install onnx.'


def plain(generator: Generator, config: TrainingConfig, labels: LabelSpace) -> Generator:
    """The same generator without the short cuts of `fast`, which look at the label map's pixels; in evaluation mode."""
    if isinstance(generator, OwnGenerator):
        return generator.eval()
    network = build(replace(config, fast=False, checkpointing=False), labels).generator
    network.load_state_dict(generator.state_dict())
    return network.eval()


def onnx_file(generator: Generator, size: tuple[int, int]) -> bytes:
    """The ONNX file of a plain generator for label maps of `size` (h, w), one at a time.

        segmap (1, label_channels, h, w), z (1, z_dim) where the generator takes a style code
        -> image (1, 3, h2, w2) in [-1, 1], all float32

    Weights are kept as float16, as in the stored files, and the graph computes in float32.
    Errors: a UserError where onnx isn't installed, or a part of a student's file can't be exported.
    """
    require_onnx()
    inputs = example(generator, size, 0)
    if isinstance(generator, OwnGenerator):
        return with_half_weights(_export_own(generator, inputs))
    return with_half_weights(_export(generator, inputs))


def require_onnx() -> None:
    """A UserError where the package onnx isn't installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise UserError(NO_ONNX) from None


def example(generator: Generator, size: tuple[int, int], seed: int) -> tuple[Tensor, ...]:
    """What a generator is called with: a label map of noise and, where it takes one, a style code."""
    numbers = torch.Generator().manual_seed(seed)
    ids = torch.randint(generator.label_channels, (1, *size), generator=numbers)
    segmap = one_hot(ids, generator.label_channels)
    if generator.z_dim is None:
        return (segmap,)
    return segmap, torch.randn(1, generator.z_dim, generator=numbers)


@torch.no_grad()
def _export(network: nn.Module, inputs: tuple[Tensor, ...], **options: Any) -> bytes:
    content: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this is the older of two exporters; the newer needs another package
        torch.onnx.export(
            network, inputs, content, input_names=["segmap", "z"][: len(inputs)], output_names=["image"],
            dynamo=False, opset_version=OPSET, **options,
        )  # fmt: skip
    return content.getvalue()


def with_half_weights(content: bytes) -> bytes:
    """The same ONNX file with its weights as float16, each cast to float32 where the graph begins."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) > 1:
            name = weight.name
            half = numpy_helper.to_array(weight).astype("float16")
            weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _export_own(generator: OwnGenerator, inputs: tuple[Tensor, ...]) -> bytes:
    """Export what a student's code does with `inputs`, if it does the same with others."""
    with torch.no_grad():
        generator(*inputs)  # what goes wrong without an export is said as everywhere
    try:
        _require_one_way(generator, inputs)
        return _export(generator.network, inputs)
    except UserError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        part = _first_to_fail(generator, inputs)
        raise generator.code.fault(part, f"the page can't have it: {said[0]}") from error


def _require_one_way(generator: OwnGenerator, inputs: tuple[Tensor, ...]) -> None:
    """A UserError where the network takes another way for other numbers: an export would keep the first for good."""
    code, size = generator.code, (inputs[0].shape[2], inputs[0].shape[3])
    others = [example(generator, size, 1)]
    for uniform in (0, generator.label_channels - 1):
        ids = torch.full((1, *size), uniform)
        others.append((one_hot(ids, generator.label_channels), *others[0][1:]))
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        try:
            torch.jit.trace(generator.network, inputs, check_inputs=others)
        except torch.jit.TracingCheckError:  # type: ignore[attr-defined]  # torch's types forget that it is public
            read = [w for w in caught if w.filename == str(code.path) and "Converting a tensor" in str(w.message)]
            text = "the page can't have it: what is computed depends on numbers that are read (by an `if`, by .item())."
            line = read[0].lineno if read else None
            raise code.fault(type(generator.network).__name__, text, line) from None


def _first_to_fail(generator: OwnGenerator, inputs: tuple[Tensor, ...]) -> str:
    """The innermost part of a student's file that can't be exported by itself."""
    calls: list[tuple[nn.Module, tuple, dict]] = []

    def see(module: nn.Module, arguments: tuple, named: dict, _output: object) -> None:
        calls.append((module, arguments, named))  # inner modules are done before those around them

    parts = [m for m in generator.network.modules() if type(m).__name__ in generator.code.file.parts]
    hooks = [module.register_forward_hook(see, with_kwargs=True) for module in parts]
    with torch.no_grad():
        generator(*inputs)
    for hook in hooks:
        hook.remove()
    for module, arguments, named in calls:
        try:
            _export(module, arguments, kwargs=named)
        except Exception:
            return type(module).__name__
    return type(generator.network).__name__
