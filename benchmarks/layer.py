"""One SPADE layer, convolutions against distinct windows, in alternation: `python benchmarks/layer.py --json -`.

Times forward and forward + backward of the whole layer (norm included), and compares results and gradients. Without
--data the label maps are rendered streets; with it, photographs' label maps in CamVid's layout.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import spade_edu  # noqa: F401  # before torch: it says how torch's threads wait

# isort: split
import torch
from output import add_json, give

from spade_edu.data.base import stack
from spade_edu.fast.spade import LabelPatterns, PatternSPADE
from spade_edu.normalization import SPADE


def label_maps(data: Path | None, batch: int, height: int, width: int) -> torch.Tensor:
    if data:
        from spade_edu.data.camvid import CamVid

        images = CamVid(data, "train", height=height, width=width)
    else:
        from spade_edu.data.streets import Streets

        images = Streets(batch, height=height, width=width)
    sample = stack([images[i * len(images) // batch] for i in range(batch)])
    return images.labels.encode(sample.label, sample.instance)


def measure(arguments: argparse.Namespace, channels: int, factor: int) -> dict:
    """Seconds of both layers at 1 / factor of the size, and the share of distinct windows."""
    segmap = label_maps(arguments.data, arguments.batch, arguments.height, arguments.width)
    plain = SPADE(channels, segmap.shape[1], hidden_channels=arguments.hidden)
    patterns = LabelPatterns(always=True)
    fast = PatternSPADE(plain, patterns)
    x = torch.randn(arguments.batch, channels, arguments.height // factor, arguments.width // factor)
    mixed = arguments.precision == "bf16"
    if mixed:
        x, segmap = x.bfloat16(), segmap.bfloat16()
    memory = torch.channels_last if arguments.channels_last else torch.contiguous_format
    x = x.to(memory_format=memory).requires_grad_()
    segmap, plain = segmap.to(memory_format=memory), plain.to(memory_format=memory)
    gradient = torch.randn_like(x)
    started = time.perf_counter()
    plan = patterns.plan(segmap, tuple(x.shape[-2:]), 3, arguments.hidden)
    row = dict(size=f"{x.shape[2]}x{x.shape[3]}", channels=channels, plan_seconds=time.perf_counter() - started)
    row |= dict(output_share=len(plan.output.products) / len(plan.index))
    row |= dict(hidden_share=len(plan.hidden.products) / len(plan.index))
    seconds, results = {}, {}
    for step in range(arguments.steps + 1):
        for name, layer in {"plain": plain, "patterns": fast}.items():
            layer.zero_grad(set_to_none=True)
            x.grad = None
            begin = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                y = layer(x, segmap)
            forward = time.perf_counter()
            y.backward(gradient)
            if step:
                end = time.perf_counter()
                seconds.setdefault(f"{name}_forward", []).append(forward - begin)
                seconds.setdefault(f"{name}_both", []).append(end - begin)
            results[name] = [y.detach(), x.grad, *(p.grad for p in layer.parameters())]
    row |= {name: median(values) for name, values in seconds.items()}
    row["times_faster_forward"] = row["plain_forward"] / row["patterns_forward"]
    row["times_faster"] = row["plain_both"] / row["patterns_both"]
    pairs = zip(results["plain"], results["patterns"])
    row["largest_relative_difference"] = max(float((a - b).norm() / a.norm()) for a, b in pairs)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder in CamVid's layout")
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--channels", type=int, nargs="+", default=[128], help="one layer each, at the next --factors")
    parser.add_argument("--factors", type=int, nargs="+", default=[1], help="by which the size is divided")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--steps", type=int, default=5)
    add_json(parser)
    arguments = parser.parse_args()
    rows = [measure(arguments, *pair) for pair in zip(arguments.channels, arguments.factors)]
    give({"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
