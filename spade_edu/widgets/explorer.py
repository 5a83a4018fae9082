"""Look into SPADE: gamma and beta of any layer and channel, as maps, for the label map on the canvas."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Integer, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.base import Dataset
from ..errors import UserError
from ..generators import Generator
from ..labels import LabelSpace
from ..normalization import SPADE
from .copies import DrawingCopy
from .host import Core, Tool, script, whole_number
from .looks import code
from .maps import CANVAS, EditedMap
from .still import captioned, diverging, legend_of, map_tile, png

COLUMNS = 16  # of the overview
TILE = (24, 48)  # height and width in it of one channel


def overview_of(maps: Float[Tensor, "c h w"]) -> UInt8[Tensor, "h2 w2 3"]:
    """All channels of a layer side by side, each in its own scale, COLUMNS a row."""
    small = F.interpolate(maps[None], size=TILE, mode="nearest")[0]
    tiles = [diverging(one, float(one.abs().max())) for one in small]
    tiles += [torch.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [torch.cat(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    return torch.cat(rows, 0)


class Modulation(Core):
    """The explorer's core: `gamma` and `beta` (h, w) of channel `channel` of layer number `layer`."""

    actions = ("paint", "load", "choose")

    def __init__(self, generator: Generator, edited: EditedMap):
        self.generator, self.map, self.channel = DrawingCopy(generator), edited, 0
        self.names = [name for name, module in generator.named_modules() if isinstance(module, SPADE)]
        if not self.names:
            raise UserError(f"{type(generator).__name__} has no SPADE layer to look into.")
        self.sizes = self._sizes()
        self.layer = self.sizes.index(max(self.sizes))  # the first of the finest: it shows the map's shapes best
        self.compute()

    @torch.no_grad()
    def _sizes(self) -> list[tuple[int, int]]:
        """(height, width) at which each layer works, seen by hooks in one pass through the generator."""
        seen: dict[str, tuple[int, int]] = {}

        def watch(name: str) -> Callable[[nn.Module, tuple], None]:
            return lambda module, inputs: seen.update({name: tuple(inputs[0].shape[-2:])})

        generator = self.generator.present()
        hooks = [generator.get_submodule(name).register_forward_pre_hook(watch(name)) for name in self.names]
        z = None if generator.z_dim is None else code({"seed": 0}, generator.z_dim)[None].to(self.device)
        generator(self.segmap(), z)
        for hook in hooks:
            hook.remove()
        return [seen[name] for name in self.names]

    @property
    def device(self) -> torch.device:
        """Where the generator is."""
        return next(self.generator.network.parameters()).device

    def segmap(self) -> Tensor:
        """The map as the generator takes it, (1, c, h, w)."""
        return self.map.labels.encode(self.map.label[None], self.map.instance[None]).to(self.device)

    @torch.no_grad()
    def compute(self) -> None:
        """gamma and beta of the chosen channel for the present map."""
        gamma, beta = self._chosen().modulation(self.segmap(), self.sizes[self.layer])
        self.gammas = gamma[0].float().cpu()
        self.gamma, self.beta = self.gammas[self.channel], beta[0, self.channel].float().cpu()

    def channels(self) -> int:
        """How many channels the chosen layer has."""
        return self._chosen().mlp_gamma.out_channels

    def _chosen(self) -> SPADE:
        layer = self.generator.present().get_submodule(self.names[self.layer])
        assert isinstance(layer, SPADE)
        return layer

    def choose(self, request: dict, buffers: list) -> None:
        """Choose layer `layer` and channel `channel` (the last one if the layer has fewer)."""
        layer = whole_number(request, "layer", 0, len(self.names) - 1)
        channel = whole_number(request, "channel", 0, 100_000)
        self.layer = layer
        self.channel = min(channel, self.channels() - 1)
        self.compute()

    def paint(self, request: dict, buffers: list) -> None:
        """A stroke was painted: the whole map comes."""
        self.map.paint(request, buffers)
        self.compute()

    def load(self, request: dict, buffers: list) -> None:
        """A scene of the data set was chosen."""
        self.map.load(request)
        self.compute()

    def state(self) -> dict:
        """Map, layers, and gamma and beta as numbers (float32) and as coloured PNG files."""
        maps = {}
        for name, values in (("gamma", self.gamma), ("beta", self.beta)):
            limit = float(values.abs().max())
            maps[name] = {"png": png(diverging(values, limit)), "values": values.numpy().tobytes(), "limit": limit}
        overview = {"png": png(overview_of(self.gammas)), "columns": COLUMNS}
        layers = [{"name": name, "size": list(size)} for name, size in zip(self.names, self.sizes)]
        chosen = {"layer": self.layer, "channel": self.channel, "channels": self.channels()}
        return {"map": self.map.state(), "layers": layers, "overview": overview} | chosen | maps

    def still(self) -> Image.Image:
        """Label map, gamma and beta."""
        where = f"{self.names[self.layer]}, channel {self.channel}"
        tiles = [("label map", map_tile(self.map.label, self.map.labels))]
        for name, values in (("gamma", self.gamma), ("beta", self.beta)):
            limit = float(values.abs().max())
            tiles.append((f"{name} of {where}: ±{limit:.2f}", diverging(values, limit)))
        return captioned(tiles, 3, legend_of(self.map.label, self.map.labels))

    def __repr__(self) -> str:
        return f"{len(self.names)} SPADE layers, {self.map.size[0]}x{self.map.size[1]}"


class Explorer(Tool[Modulation]):
    """Pick a SPADE layer and a channel: gamma and beta as maps, live, for a label map that can be painted on.

    label, instance: (h, w). scenes, classes: as for the Painter. Red is above zero, blue below.
    """

    _esm = script(*CANVAS, "explorer.js")

    def __init__(
        self, generator: Generator, label: Integer[Tensor, "h w"], labels: LabelSpace, *,
        instance: Integer[Tensor, "h w"] | None = None, scenes: Dataset | None = None,
        classes: Sequence[str] | None = None,
    ):  # fmt: skip
        super().__init__(Modulation(generator, EditedMap(labels, label, instance, scenes=scenes, classes=classes)))
