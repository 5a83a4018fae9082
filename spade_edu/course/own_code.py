"""The student's file as the code of a training: `read_code` reads it, OwnCode builds its networks and makes its steps.

    code = read_code("my_spade.py")
    networks = code.networks(config, channels)                    # generator, discriminator, encoder or None: tried
    optimizers = code.optimizers(networks, config.lr)
    losses = code.generator_step(batch, networks, optimizers[0])  # and code.discriminator_step

What goes wrong in a part is one UserError with the part's name and its line: `my_spade.py, line 123, in SPADE: ...`.
Code is run from the file that is named, and only there.
"""

import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import TrainingConfig
from ..errors import UserError
from ..generators import Generator, latent_size
from ..models import require_halvings
from .parts_file import NAME, PartsFile, read_file
from .trial import try_file

SECONDS = 30.0  # that the import of the file may take
GENERATORS = {"spade": "SPADEGenerator", "concat": "ConcatGenerator", "pix2pixhd": "Pix2PixHDGenerator"}
# What a training calls, and with what: in this order, without names.
DECODER = "label_channels, latent, ngf, z_dim, hidden_channels, conv"
CALLS = {
    "SPADEGenerator": DECODER,
    "ConcatGenerator": DECODER,
    "Pix2PixHDGenerator": "label_channels, ngf, num_downsampling, num_blocks",
    "MultiScaleDiscriminator": "label_channels, ndf, num_scales, num_layers",
    "StyleEncoder": "nef, z_dim, image_size",
    "init_weights": "network, gain",
    "make_optimizers": "generator, discriminator, encoder, lr",
    "generator_step": "batch, generator, discriminator, optimizer, encoder, features, weights",
    "discriminator_step": "batch, generator, discriminator, optimizer, encoder",
}
NORMS = ("BatchNorm2d", "InstanceNorm2d")
Losses = dict[str, Tensor]


class OwnNetworks(NamedTuple):
    """Objects of the student's classes."""

    generator: nn.Module
    discriminator: nn.Module
    encoder: nn.Module | None

    def named(self) -> dict[str, nn.Module]:
        """Those that are there, by their letters."""
        found = {"G": self.generator, "D": self.discriminator, "E": self.encoder}
        return {letter: network for letter, network in found.items() if network is not None}


class OwnCode:
    """A student's file that was run once. Make it with `read_code`.

    path: the file. file: its parts and their lines; file.text is what was run. digest: sha256 of that text.
    """

    def __init__(self, path: Path, file: PartsFile):
        self.path, self.file = path, file
        self.digest = hashlib.sha256(file.text.encode()).hexdigest()
        self.module = ModuleType(path.stem)
        self.module.__file__ = str(path)
        with self.guarded():
            exec(compile(file.text, str(path), "exec"), vars(self.module))

    # Building

    def networks(self, config: TrainingConfig, channels: int) -> OwnNetworks:
        """The networks of config.model, initialised from config.seed, for so many label channels, on the CPU.

        Errors: a UserError for a part that is missing, or can't be built.
        """
        self.require(config)
        torch.manual_seed(config.seed)
        networks = OwnNetworks(
            self.generator(config, channels), self.discriminator(config, channels), self.encoder(config)
        )
        if config.precision != "fp32":
            self._mix(networks)
        return networks

    def generator(self, config: TrainingConfig, channels: int) -> nn.Module:
        """The generator of config.model ("spade", "concat" or "pix2pixhd"), initialised."""
        name, width = GENERATORS[config.model], config.generator_width
        if config.model == "pix2pixhd":
            require_halvings(config)
            return self._network(name, config, channels, width, config.num_downsampling, config.num_blocks)
        latent = latent_size((config.height, config.width))
        conv = self.part("SpectralConv2d")
        return self._network(name, config, channels, latent, width, code_length(config), config.hidden_channels, conv)

    def discriminator(self, config: TrainingConfig, channels: int) -> nn.Module:
        """The discriminator at two scales, initialised."""
        return self._network("MultiScaleDiscriminator", config, channels, config.ndf, 2, config.num_layers_d)

    def encoder(self, config: TrainingConfig) -> nn.Module | None:
        """The style encoder, initialised, where config.style asks for one."""
        if not config.style:
            return None
        size = min(256, 2 ** (min(config.height, config.width).bit_length() - 1))
        return self._network("StyleEncoder", config, config.generator_width, config.z_dim, size)

    def optimizers(self, networks: OwnNetworks, lr: float) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """The optimizer of G and E, and that of D."""
        optimizers = self.call("make_optimizers", networks.generator, networks.discriminator, networks.encoder, lr)
        kinds = [isinstance(o, torch.optim.Optimizer) for o in optimizers] if isinstance(optimizers, tuple) else []
        if kinds != [True, True]:
            raise self.fault("make_optimizers", "it gives no pair of torch.optim's optimizers.")
        self._require_all_moved(networks, *optimizers)
        return optimizers

    # Steps

    def generator_step(
        self,
        batch: Mapping[str, Tensor],
        networks: OwnNetworks,
        optimizer: torch.optim.Optimizer,
        features: nn.Module | None = None,
        weights: tuple[float, ...] = (),
    ) -> Losses:
        """Move G (and E) once; the losses by their names. The weights stay as they are where a gradient is no number.

        batch: "segmap" and "image", as a Trainer takes them. features, weights: of the perceptual loss; None: without.
        """
        return self._step("generator_step", batch, networks, optimizer, features, weights)

    def discriminator_step(
        self, batch: Mapping[str, Tensor], networks: OwnNetworks, optimizer: torch.optim.Optimizer
    ) -> Losses:
        """Move D once; the losses by their names."""
        return self._step("discriminator_step", batch, networks, optimizer)

    def _step(
        self,
        name: str,
        batch: Mapping[str, Tensor],
        networks: OwnNetworks,
        optimizer: torch.optim.Optimizer,
        *features: Any,
    ) -> Losses:
        hook = optimizer.register_step_pre_hook(lambda *_: self._require_gradients(name, networks, optimizer, batch))
        try:
            generator, discriminator, encoder = networks
            losses = self.call(name, batch, generator, discriminator, optimizer, encoder, *features)
        finally:
            hook.remove()
        if not isinstance(losses, dict) or not losses:
            raise self.fault(name, f"it gives {shown(losses)}, expected its losses by their names.")
        with self.guarded(name):
            return {key: torch.as_tensor(loss, device=batch["image"].device).detach() for key, loss in losses.items()}

    def _require_gradients(
        self, name: str, networks: OwnNetworks, optimizer: torch.optim.Optimizer, batch: Mapping[str, Tensor]
    ) -> None:
        """Run before an optimizer moves anything: each of its parameters has a gradient, and it is a number."""
        moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for network in networks.named().values():
            for key, parameter in network.named_parameters():
                if id(parameter) in moved and parameter.requires_grad and parameter.grad is None:
                    owner = self.owner(network, key)
                    raise self.fault(owner, f"no gradient reaches {key} in {name}: it would never learn.")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not torch.stack([torch.isfinite(g).all() for g in gradients]).all():
            raise self.not_a_number(name, networks.named().values(), lambda: judge(networks, batch))

    def not_a_number(self, name: str, networks: Iterable[nn.Module], run: Callable[[], object]) -> UserError:
        """A fault of the innermost part that gives what is no number; `run` lets the networks work once more."""
        found: list[str] = []

        def see(module: nn.Module, _inputs: object, outputs: object) -> None:
            if not all(torch.isfinite(t).all() for t in tensors(outputs)):
                found.append(type(module).__name__)

        modules = [m for network in networks for m in network.modules() if type(m).__name__ in self.file.parts]
        hooks = [module.register_forward_hook(see) for module in modules]
        with torch.no_grad(), self.guarded(name):
            run()
        for hook in hooks:
            hook.remove()
        if found:
            return self.fault(found[0], "its result is no number any more (nan or inf).")
        return self.fault(name, "a gradient is no number any more (nan or inf). Is the learning rate too high?")

    # Parts

    def part(self, name: str) -> Any:
        """A part of the file. Errors: a UserError where it isn't there."""
        if not hasattr(self.module, name):
            raise UserError(f"{self.path.name} lacks {name}: keep or borrow it first.")
        return getattr(self.module, name)

    def require(self, config: TrainingConfig) -> None:
        """A UserError where the file lacks a part, or a name that a part uses, which a training of `config` needs."""
        names = required(config)
        missing = [name for name in names if not hasattr(self.module, name)]
        if missing:
            raise UserError(f"{self.path.name} lacks {', '.join(missing)}: keep or borrow what is missing first.")
        own = [name for name in names if name in self.file.parts]
        for name in dict.fromkeys([n for part in own for n in [*self.file.needed(part), part]]):
            lacks = sorted(n for n in self.file.parts[name].needs if not hasattr(self.module, n))
            if lacks:
                raise self.fault(name, f"it needs {', '.join(lacks)}, which {self.path.name} doesn't have.")

    def call(self, name: str, *arguments: Any) -> Any:
        """What a part gives for the course's arguments."""
        with self.guarded(name):
            return self.part(name)(*arguments)

    def _network(self, name: str, config: TrainingConfig, *arguments: Any) -> nn.Module:
        network = self.call(name, *arguments)
        if not isinstance(network, nn.Module):
            raise self.fault(name, f"it makes {shown(network)}, expected an nn.Module.")
        network = self.call("init_weights", network, config.init_gain)
        if not isinstance(network, nn.Module):
            raise self.fault("init_weights", f"it gives {shown(network)}, expected the network.")
        if not list(network.parameters()):
            raise self.fault(name, "it has no parameters: a plain Python list hides layers, nn.ModuleList doesn't.")
        return network

    def _mix(self, networks: OwnNetworks) -> None:
        """Mixed precision as torch's own layers have it: norms compute in float32, and so do losses."""
        norms = tuple(kind for name in NORMS if isinstance(kind := getattr(self.module, name, None), type))
        for network in networks.named().values():
            network.register_forward_hook(lambda _module, _inputs, outputs: as_float(outputs))
            for module in network.modules():
                if isinstance(module, norms):
                    module.register_forward_pre_hook(lambda _module, inputs: as_float(inputs))

    def _require_all_moved(self, networks: OwnNetworks, *optimizers: torch.optim.Optimizer) -> None:
        """A UserError where a weight is in no optimizer, or in the wrong one."""
        moved = [{id(p) for group in o.param_groups for p in group["params"]} for o in optimizers]
        for letter, network in networks.named().items():
            side, other = (moved[1], moved[0]) if letter == "D" else (moved[0], moved[1])
            for key, parameter in network.named_parameters():
                if parameter.requires_grad and (id(parameter) not in side or id(parameter) in other):
                    where = "the other side's optimizer" if id(parameter) in other else "no optimizer"
                    raise self.fault("make_optimizers", f"{key} of {letter} is in {where}.")

    # What went wrong, and where

    @contextmanager
    def guarded(self, part: str = "") -> Iterator[None]:
        """Turn whatever the file's code raises into one UserError with part and line.

        part: the one that is called, for a call that doesn't get as far as the file.
        """
        try:
            yield
        except (UserError, MemoryError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            if "allocate memory" in str(error):  # the CPU's allocator has no exception of its own
                raise
            raise self._raised(part, error) from error

    def _raised(self, part: str, error: BaseException) -> UserError:
        said = str(error).strip().splitlines()[:1] or ["without a word"]
        text = f"{type(error).__name__}: {said[0]}"
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(self.path)]
        if lines and lines[-1]:
            return self.fault(part, text, lines[-1])
        return self.fault(part, f"{text}. It is called as {part}({CALLS[part]})." if part in CALLS else text)

    def fault(self, part: str, text: str, line: int | None = None) -> UserError:
        """What is wrong with a part. line: where (from 1); None: where the part begins."""
        inside = [name for name, p in self.file.parts.items() if line and p.lines.start < line <= p.lines.stop]
        if line is None and part in self.file.parts:
            part_lines = self.file.parts[part].lines
            heads = (i for i in range(part_lines.start, part_lines.stop) if self.file.lines[i][:1] not in "#@")
            line = next(heads) + 1
        where = [self.path.name, f"line {line}" if line else "", f"in {inside[0] if inside else part}"]
        return UserError(f"{', '.join(word for word in where if word not in ('', 'in '))}: {text}")

    def owner(self, network: nn.Module, key: str) -> str:
        """The innermost part that holds a weight: SPADE, for "blocks.0.norm_0.gamma.weight" of a generator."""
        names = [type(network).__name__]
        for end in range(1, key.count(".") + 1):
            names.append(type(network.get_submodule(".".join(key.split(".")[:end]))).__name__)
        return next((name for name in reversed(names) if name in self.file.parts), names[0])


class OwnGenerator(Generator):
    """The student's generator as the package's commands take one."""

    def __init__(self, code: OwnCode, network: nn.Module, label_channels: int, z_dim: int | None):
        super().__init__(label_channels, z_dim)
        self.code, self.network = code, network

    def forward(self, segmap: Tensor, z: Tensor | None = None) -> Tensor:
        """Paint label maps. Errors: a UserError with the line for what the student's code raises."""
        with self.code.guarded():
            image = self.network(segmap) if z is None else self.network(segmap, z)
        if not torch.is_tensor(image) or image.ndim != 4 or image.shape[:2] != (len(segmap), 3):
            expected = f"pictures of shape ({len(segmap)}, 3, height, width)"
            raise self.code.fault(type(self.network).__name__, f"it gives {shown(image)}, expected {expected}.")
        return image


def read_code(path: str | Path, seconds: float = SECONDS) -> OwnCode:
    """Run a student's file: first in a fresh process, with a time limit, then here.

    Errors: a UserError where there is none, it is no Python, its import fails or takes longer than `seconds`.
    """
    path = Path(path).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"There is no file {path}: --code names your my_spade.py.")
    try:
        file = read_file(path)
        try_file(file.text, [], seconds)
    except UserError as error:
        raise UserError(str(error).replace(NAME, path.name)) from None
    return OwnCode(path, file)


def required(config: TrainingConfig) -> list[str]:
    """The parts that a training of `config` calls. Errors: a UserError for a model that no part of the course is."""
    if config.model not in GENERATORS:
        raise UserError(f"With a file of your own the model is {', '.join(GENERATORS)}, not {config.model!r}.")
    names = [GENERATORS[config.model], "init_weights", "MultiScaleDiscriminator"]
    names += ["make_optimizers", "generator_step", "discriminator_step"]
    names += [] if config.model == "pix2pixhd" else ["SpectralConv2d"]
    return names + (["StyleEncoder"] if config.style else [])


def judge(networks: OwnNetworks, batch: Mapping[str, Tensor]) -> None:
    """Let all networks work once on a batch."""
    codes = [] if networks.encoder is None else [networks.encoder(batch["image"])[0]]
    for image in (networks.generator(batch["segmap"], *codes), batch["image"]):
        networks.discriminator(batch["segmap"], image)


def code_length(config: TrainingConfig) -> int | None:
    """How long a style code of the generator is; None: it has none."""
    return config.z_dim if (config.style or config.noise) and config.model != "pix2pixhd" else None


def as_float(value: Any) -> Any:
    """The same tensors in float32, in lists and tuples as they come."""
    if torch.is_tensor(value):
        return value.float()
    if isinstance(value, list | tuple):
        return type(value)(as_float(item) for item in value)
    return value


def tensors(value: Any) -> Iterable[Tensor]:
    """All tensors in lists and tuples."""
    if torch.is_tensor(value):
        return [value]
    return [t for item in value for t in tensors(item)] if isinstance(value, list | tuple) else []


def shown(value: object) -> str:
    """A tensor's shape, or the type of anything else."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
