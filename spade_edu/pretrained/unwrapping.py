"""State dicts as others wrap them: inside dicts, under a common prefix, with the names of newer spectral norm."""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

# torch.nn.utils.parametrizations.spectral_norm's names, and those of the older spectral_norm that files mostly have
PARAMETRIZED = re.compile(r"(.*)\.parametrizations\.weight\.(original|0\._u|0\._v)")
HOOKED = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}


def find_networks(content: Mapping, anchor: str, place: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The state dicts in a file's content that have the entry `anchor`, and what stood before its name.

    {"net": {"module.fc.weight": ...}} with the anchor "fc.weight" gives "net.module.", {"fc.weight": ...}.
    """
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    starts = {name.removesuffix(anchor) for name in tensors if name.endswith(anchor)}
    for start in sorted(start for start in starts if start == "" or start.endswith(".")):
        inside = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
        yield place + start, {_hooked(name): value for name, value in inside.items()}
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from find_networks(value, anchor, f"{place}{name}.")


def _hooked(name: str) -> str:
    match = PARAMETRIZED.fullmatch(name)
    return f"{match[1]}.{HOOKED[match[2]]}" if match else name
