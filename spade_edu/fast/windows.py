"""Which k x k windows of a label map are distinct, and a convolution that runs once for each of them."""

import operator
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..spectral import compute_dtype

RUN = 64  # rows that are added up in one go (Groups)


class Groups:
    """Which rows are to be added up: `sum(rows)` gives one row for each group, always added in the same order.

    rows: the rows of the first group, then those of the second, and so on; starts: where each group begins. With `run`
    a group is summed in runs of at most so many rows, then the runs: work is even although one group may hold half of
    all pixels, and rounding errors grow less than in one long sum.
    """

    def __init__(self, rows: Int64[Tensor, " members"], starts: Int64[Tensor, " groups"], *, run: int | None = None):
        self.rows, self.starts, self.runs = rows, starts, None
        if run:
            every = torch.arange(0, len(rows), run, device=rows.device)
            self.starts = torch.cat([starts, every]).unique()
            runs = torch.arange(len(self.starts), device=rows.device)
            self.runs = Groups(runs, torch.searchsorted(self.starts, starts))

    def sum(self, values: Float[Tensor, "rows c"]) -> Float[Tensor, "groups c"]:
        """The sum of each group's rows, zero for an empty group; runs of 16-bit values are added in float32."""
        sums = F.embedding_bag(self.rows, values, self.starts, mode="sum")
        if self.runs is None:
            return sums
        return self.runs.sum(sums.to(_accurate(sums.dtype)))


@dataclass(frozen=True)
class Distinct:
    """The distinct values among some: which one each is (`index`), and all places sorted by value, with its starts."""

    index: Int64[Tensor, " places"]
    order: Int64[Tensor, " places"]
    starts: Int64[Tensor, " values"]

    @property
    def examples(self) -> Int64[Tensor, " values"]:
        """A place where each value occurs: its first."""
        return self.order[self.starts]


def distinct(values: Int64[Tensor, " places"]) -> Distinct:
    """Number the distinct values."""
    ordered, order = values.sort(stable=True)
    new = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=new[1:])
    index = torch.empty_like(order).scatter_(0, order, new.cumsum(0) - 1)
    return Distinct(index, order, new.nonzero()[:, 0])


class Windows(NamedTuple):
    """The distinct k x k windows of a batch of maps of ids.

    ids: (p, k^2), the ids in each; `num_ids` stands for outside. pixels: (n h w), which window each pixel is in.
    """

    ids: Int64[Tensor, "p k_k"]
    pixels: Distinct
    num_ids: int

    @property
    def share(self) -> float:
        """Distinct windows per pixel: 1 if no window occurs twice."""
        return len(self.ids) / len(self.pixels.index)


def distinct_windows(ids: Int64[Tensor, "n h w"], num_ids: int, kernel_size: int) -> Windows:
    """Find the distinct windows by a hash: sum over rows i and columns j of a_i b_j number[id_ij], modulo 2^63.

    `number` is a fixed random table, a and b are odd. Two different windows among p have the same hash with a
    probability of about p^2 / 2^64: below 1e-7 for a million. The table is public, so that a map can be crafted in
    which two have (some 2^32 tries); one of them then gets the other's value.
    """
    reach = kernel_size // 2
    numbers, rows, columns = _random_numbers(num_ids + 1, kernel_size, ids.device)
    padded = F.pad(ids, (reach,) * 4, value=num_ids)
    (_, h, w), (_, height, width) = ids.shape, padded.shape
    hashes = numbers[padded]
    hashes = reduce(operator.add, (hashes[:, i : i + h] * rows[i] for i in range(kernel_size)))
    hashes = reduce(operator.add, (hashes[:, :, j : j + w] * columns[j] for j in range(kernel_size)))
    pixels = distinct(hashes.flatten() & (2**63 - 1))  # non-negative numbers sort faster
    example = pixels.examples
    corner = (example // (h * w) * height + example // w % h) * width + example % w
    step = torch.arange(kernel_size, device=ids.device)
    window = corner[:, None] + (step[:, None] * width + step).flatten()
    return Windows(padded.flatten()[window], pixels, num_ids)


def _random_numbers(count: int, kernel_size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """64-bit numbers: one for each id, an odd one for each row and for each column of a window."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(-(2**63), 2**63 - 1, (2 * kernel_size + count,), generator=generator).to(device)
    return numbers[2 * kernel_size :], numbers[:kernel_size] | 1, numbers[kernel_size : 2 * kernel_size] | 1


class WindowConv:
    """A convolution on distinct windows: a table with a row for each id becomes one with a row for each window.

    The weight is one matrix (c2, c) for each of the k^2 places of a window. Every id's row is multiplied by all of
    these once, then a window adds up k^2 of the products. Windows share ids, so that is less work than multiplying
    window by window.

    products: (p, k^2), which products each window adds up; id i at place t is number i k^2 + t. users: the reverse,
    the windows that use each product.
    """

    def __init__(self, windows: Windows):
        places = windows.ids.shape[1]
        self.products = windows.ids * places + torch.arange(places, device=windows.ids.device)
        counts = torch.bincount(self.products.flatten(), minlength=(windows.num_ids + 1) * places)
        self.users = Groups(self.products.flatten().argsort(stable=True) // places, counts.cumsum(0) - counts)

    def __call__(self, table: Float[Tensor, "ids c"], conv: nn.Conv2d) -> Float[Tensor, "windows c2"]:
        """The convolution's value at the centre of each window."""
        dtype = compute_dtype(conv.weight)
        return _ConvWindows.apply(table.to(dtype), conv.weight, dtype, self) + conv.bias


class _ConvWindows(torch.autograd.Function):
    """WindowConv without its bias; no copy of the weight is kept."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, weight: Tensor, dtype: torch.dtype, windows: WindowConv) -> Tensor:
        ctx.save_for_backward(table, weight)
        ctx.users = windows.users
        products = F.linear(F.pad(table, (0, 0, 0, 1)), _matrices(weight, dtype))  # the last id, outside, is zero
        return F.embedding_bag(windows.products, products.view(-1, len(weight)), mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # y_w = sum over places t of P[i, t], with i the id that window w has at t, and P[i, t] = W_t e_i the product of
        # id i's row e_i. A product gets the gradients of all windows that use it; the rest is that of W_t e_i:
        #
        #     dP[i, t] = sum of dy_w   over the windows w with id i at place t
        #     dW_t     = sum over i of dP[i, t] e_i^T
        #     de_i     = sum over t of W_t^T dP[i, t]
        table, weight = ctx.saved_tensors
        c2, c, *kernel = weight.shape
        products = ctx.users.sum(grad.to(table.dtype).contiguous()).view(len(table) + 1, -1)[:-1]
        dweight = (products.t() @ table).view(*kernel, c2, c).permute(2, 3, 0, 1)
        dtable = products @ _matrices(weight, table.dtype) if ctx.needs_input_grad[0] else None
        return dtable, torch.empty_like(weight).copy_(dweight), None, None


def _matrices(weight: Float[Tensor, "c2 c k k"], dtype: torch.dtype) -> Float[Tensor, "k_k_c2 c"]:
    """W_t, (c2, c), for each place t of a window, one below the other."""
    return weight.to(dtype).permute(2, 3, 0, 1).reshape(-1, weight.shape[1])


def _accurate(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
