"""Training in several processes: `torchrun --nproc-per-node 8 -m spade_edu train ...`.

Every process trains a copy of the networks on its share of each batch. Batch norm uses the pixels of all of them
(normalization.SyncBatchNorm), gradients are averaged, so all copies take the same step: that of one process with the
whole batch. Only process 0 writes files.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .errors import UserError

OF_TORCHRUN = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
GPU_STATE = 100  # bytes that the state of a GPU's random numbers has at most (16 today; a CPU's has 5056)


def start(device: str) -> torch.device:
    """Join the other processes if torchrun started this one; gives the device to train on, a GPU for each process.

    Errors: a UserError where WORLD_SIZE speaks of several processes but was not set by torchrun.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size.strip() == "1":
        return torch.device(device)
    missing = [name for name in OF_TORCHRUN if not os.environ.get(name)]
    if missing or not size.isdecimal():
        raise UserError(
            f"WORLD_SIZE is {size!r} but {missing[0] if missing else 'no number'} is not set: not torchrun but a batch "
            "system may have set it. Unset it for one process, or start several: torchrun --nproc-per-node N -m "
            "spade_edu train ..."
        )
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return torch.device(device)


def stop() -> None:
    """Part from the other processes, once all are done."""
    wait()
    if several_processes():
        dist.destroy_process_group()


def wait() -> None:
    """Wait for the other processes to come here too."""
    if several_processes():
        dist.barrier()


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if several_processes() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if several_processes() else 0


def share_of(order: Sequence[int], batch_size: int) -> list[int]:
    """This process's part of an order of images: its slice of every batch.

    Errors: a UserError where the batch can't be divided evenly.
    """
    if batch_size % processes():
        raise UserError(
            f"A batch of {batch_size} can't be divided among {processes()} processes: make batch_size a multiple of it."
        )
    mine = batch_size // processes()
    starts = range(0, len(order), batch_size)
    return [index for s in starts for index in order[s + rank() * mine : s + (rank() + 1) * mine]]


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, all of one type in one message."""
    if not several_processes():
        return
    tensors = list(tensors)
    flat = torch.cat([t.flatten() for t in tensors])
    dist.all_reduce(flat)
    parts = (flat / processes()).split([t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts):
        tensor.copy_(part.view(tensor.shape))


def maximum(tensor: Tensor) -> None:
    """Replace a tensor by its largest value over the processes."""
    if several_processes():
        dist.all_reduce(tensor, dist.ReduceOp.MAX)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all gradients: that of the whole batch, as the losses are means over images.

    The KL divergence is a sum over images instead: its weight here is that of one process's part, as in the official
    code on several GPUs.
    """
    average(p.grad for p in parameters if p.grad is not None)


def all_agree(yes: bool, device: torch.device) -> bool:
    """Whether every process says yes."""
    if not several_processes():
        return yes
    votes = torch.tensor(int(yes), device=device)
    dist.all_reduce(votes, dist.ReduceOp.MIN)
    return bool(votes)


def gather_random_states(device: torch.device) -> list[Tensor]:
    """The states of torch's random numbers (CPU, then the GPU's where there is one), for each process in turn."""
    mine = [torch.get_rng_state()]
    if device.type == "cuda":
        mine.append(torch.cuda.get_rng_state(device))
    if not several_processes():
        return mine
    states: list[list[Tensor]] = [[]] * processes()
    dist.all_gather_object(states, mine)
    return [state for of_process in states for state in of_process]


def set_random_states(states: list[Tensor], device: torch.device) -> None:
    """Take up this process's states again. Errors: a UserError if there was another number of processes.

    A run may go on where the GPU is missing, or new: what that would have drawn is then drawn otherwise.
    """
    of_gpus = [state for state in states if state.numel() <= GPU_STATE]
    of_cpus = [state for state in states if state.numel() > GPU_STATE]
    if len(of_cpus) != processes():
        raise UserError(
            f"The checkpoint is of {len(of_cpus)} process(es), now there are {processes()}: go on with as many."
        )
    torch.set_rng_state(of_cpus[rank()])
    if of_gpus and device.type == "cuda":
        torch.cuda.set_rng_state(of_gpus[rank()], device)


def several_processes() -> bool:
    """Whether this is one of several training processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _SumOverProcesses(torch.autograd.Function):
    """y = sum over processes of x. Each x adds to every process's y, so the gradient is summed the same way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(x: Tensor) -> Tensor:
    return _SumOverProcesses.apply(x)
