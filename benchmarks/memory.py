"""Bytes that one G step keeps for its backward pass, plain, fast and with checkpointing: `python benchmarks/memory.py`.

Counted by hooks on everything that autograd saves, each storage once. Weights and buffers are left out, and copies of
weights (divided by sigma, or in 16 bits) are counted apart: they don't grow with batch and image.
"""

import argparse
import dataclasses
import json

import torch
from iteration import make_batch

from spade_edu.config import TrainingConfig
from spade_edu.models import build
from spade_edu.training import Trainer, frozen


def saved_bytes(config: TrainingConfig, batch: dict) -> dict[str, int]:
    """Bytes saved by G's forward pass and D's on its images."""
    networks = build(config, batch["segmap"].shape[1])
    trainer = Trainer(*networks, config)
    memory = torch.channels_last if config.fast else torch.contiguous_format
    batch = {name: value.to(memory_format=memory) for name, value in batch.items()}
    own = {p.data_ptr() for n in networks if n for p in [*n.parameters(), *n.buffers()]}
    own |= {value.data_ptr() for value in batch.values()}
    shapes = {p.shape for n in networks if n for p in n.parameters()}
    sizes = {"activations": {}, "copies of weights": {}}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kind = "copies of weights" if tensor.shape in shapes else "activations"
            sizes[kind][storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        trainer.autocast(),
        frozen(networks.discriminator),
    ):
        fake, _, _ = trainer.generate(batch)
        predictions = trainer.discriminate(batch, fake)  # noqa: F841 holds the graph, so that no address is used twice
    return {kind: sum(found.values()) for kind, found in sizes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(height=64, width=128, batch=2, ngf=32, ndf=32, hidden=128, labels=35).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    arguments = parser.parse_args()
    arguments.instances = True
    sizes = dict(height=arguments.height, width=arguments.width, ngf=arguments.ngf, ndf=arguments.ndf)
    config = TrainingConfig(
        **sizes, hidden_channels=arguments.hidden, precision=arguments.precision, lambda_vgg=0.0, fast=False
    )
    batch = make_batch(arguments, torch.device("cpu"))
    variants = {
        "plain": config,
        "fast": dataclasses.replace(config, fast=True, channels_last=True),
        "fast, checkpointing": dataclasses.replace(config, fast=True, channels_last=True, checkpointing=True),
    }
    found = {name: saved_bytes(variant, batch) for name, variant in variants.items()}
    shares = {name: value["activations"] / found["plain"]["activations"] for name, value in found.items()}
    print(json.dumps(vars(arguments) | {"saved_bytes": found, "activations_of_plain": shares}, indent=2))


if __name__ == "__main__":
    main()
