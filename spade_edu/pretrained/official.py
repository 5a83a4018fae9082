"""Read and write checkpoints of the official SPADE code (latest_net_G.pth, ...) and of pix2pixHD.

    G = official.load_generator("latest_net_G.pth")  # G(segmap, z=None) -> image
    torch.save(official.to_official(G), "again.pth")  # the same names and numbers

Only tensors are read, never code. Widths, label channels, kernel, kind of norm, spectral norm, VAE or not, numbers of
scales, layers and blocks all follow from the names and shapes. Numbers are used as float32.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..discriminators import MultiScaleDiscriminator, PatchDiscriminator
from ..encoder import StyleEncoder
from ..errors import UserError
from ..generators import Generator, InstanceFeatureEncoder, LocalEnhancer, Pix2PixHDGenerator, SPADEGenerator
from ..generators.spade import UPSAMPLINGS
from ..spectral import SpectralNorm
from .unwrapping import find_networks
from .weights import read_state_dict

State = Mapping[str, Tensor]
Source = str | Path | Mapping

DATA_SETS = {36: "Cityscapes", 151: "ADE20K", 184: "COCO-Stuff"}  # by label channels
# num_upsampling_layers, crop_size, aspect_ratio leave no trace: the official defaults; as trained, by label channels.
Options = tuple[str, int, float]
DEFAULTS: Options = ("normal", 256, 1.0)
TRAINED_WITH: dict[int, Options] = {36: ("more", 512, 2.0)}
LABEL_ORDERS = ("official", "package")  # of ADE20K's channels
OWN_MARK = {"written_by": "spade_edu"}  # in a state dict's metadata, where torch keeps versions of layers
SPECTRAL_NAMES = {"weight": "weight_orig", "u": "weight_u", "v": "weight_v"}  # torch's hook-style spectral norm


# Loading -------------------------------------------------------------------------------------------------------------
Network = TypeVar("Network", bound=nn.Module)


def load_generator(
    source: Source,
    *,
    num_upsampling_layers: str | None = None,
    crop_size: int | None = None,
    aspect_ratio: float | None = None,
) -> SPADEGenerator:
    """SPADE's generator, in evaluation mode, from a path or a state dict of official names.

    crop_size is the image's width, crop_size / aspect_ratio its height. They and num_upsampling_layers leave no trace
    in the authors' files and are the official options: "normal", 256 and 1.0 where one is given. Where none is: what
    `to_official` noted, else as the authors trained the data set with so many label channels. ("most" leaves a trace.)
    Errors: a UserError where the file is another network, isn't whole, or doesn't fit the options.
    """
    state = _read(source, "SPADE generator")
    ngf = len(state["head_0.conv_0.bias"]) // 16
    shared = state["head_0.norm_0.mlp_shared.0.weight"]
    given = num_upsampling_layers, crop_size, aspect_ratio
    asked, crop_size, aspect_ratio = _options(given, _noted(state) or TRAINED_WITH.get(shared.shape[1], DEFAULTS))
    plan = "most" if "up_4.conv_0.bias" in state else asked
    if asked == "most" and "up_4.conv_0.bias" not in state:
        raise UserError(f"This {describe(state)} has no block up_4, so its plan isn't 'most': try 'normal' or 'more'.")
    latent = official_latent_size(crop_size, aspect_ratio, plan)
    style = state["fc.weight"].ndim == 2
    cells = len(state["fc.weight"]) // (16 * ngf)
    if style and cells != latent[0] * latent[1]:
        raise UserError(
            f"This {describe(state)} starts from {cells} cells, but crop_size {crop_size}, aspect_ratio {aspect_ratio} "
            f"and plan {plan!r} make {latent[0]}x{latent[1]}: pass the options of its training "
            "(Cityscapes: num_upsampling_layers='more', crop_size=512, aspect_ratio=2.0)."
        )
    return _fill(
        state,
        SPADEGenerator,
        shared.shape[1],
        latent=latent,
        num_upsampling_layers=plan,
        ngf=ngf,
        z_dim=state["fc.weight"].shape[1] if style else None,
        kernel_size=shared.shape[-1],
        hidden_channels=shared.shape[0],
        norm="syncbatch" if "head_0.norm_0.param_free_norm.running_mean" in state else "instance",
        spectral="head_0.conv_0.weight_orig" in state,
    )


def options_of_any_size(source: Source) -> dict[str, Any]:
    """Options with which `load_generator` takes any file: its weights are right, the size that it paints is not."""
    state = _read(source, "SPADE generator")
    cells = len(state["fc.weight"]) // len(state["head_0.conv_0.bias"])  # with VAE those of the first map, else 1
    plan = "most" if "up_4.conv_0.bias" in state else "normal"
    return dict(crop_size=cells * 2 ** UPSAMPLINGS[plan], aspect_ratio=cells)


def _options(given: tuple[str | None, int | None, float | None], otherwise: Options) -> Options:
    """What is given, the official defaults beside it; `otherwise` where nothing is."""
    plan, crop_size, aspect_ratio = given
    if given == (None, None, None):
        return otherwise
    return plan or DEFAULTS[0], crop_size or DEFAULTS[1], aspect_ratio or DEFAULTS[2]


def _noted(state: "_State") -> Options | None:
    """The options of a generator that `to_official` wrote."""
    plan, latent = state.about.get("plan"), state.about.get("latent")
    if plan not in UPSAMPLINGS or not isinstance(latent, list):
        return None
    height, width = latent
    return plan, width * 2 ** UPSAMPLINGS[plan], width / height


def official_latent_size(crop_size: int, aspect_ratio: float, num_upsampling_layers: str) -> tuple[int, int]:
    """(height, width) of the first map as the official code computes it: the width rounded down, then the height.

    Errors: a UserError where one of them is zero; the official code goes on and makes empty images.
    """
    if num_upsampling_layers not in UPSAMPLINGS:
        raise UserError(f"num_upsampling_layers is 'normal', 'more' or 'most', not {num_upsampling_layers!r}.")
    width = crop_size // 2 ** UPSAMPLINGS[num_upsampling_layers]
    height = round(width / aspect_ratio)
    if not width or not height:
        raise UserError(
            f"crop_size {crop_size}, aspect_ratio {aspect_ratio} and plan {num_upsampling_layers!r} leave a first map "
            f"of {height}x{width}: use a larger crop_size or a plan with fewer doublings."
        )
    return height, width


def label_order(source: Source) -> str:
    """Whose order of ADE20K's label channels a generator was trained with: "official" or "package".

    "package" where `to_official` wrote the file, else "official": the authors meant to move "other" behind the classes
    as this package does, but the result of that line is dropped, so their networks see the values of the files.
    """
    state = source if isinstance(source, Mapping) else _read_file(Path(source))
    about = _about(state)
    return "package" if OWN_MARK.items() <= about.items() else "official"


class InOfficialOrder(Generator):
    """A generator of official ADE20K weights that takes this package's segmap.

    Its own channels are the values of the label files: 0 other, 1 to 150 the classes. This package has the classes at
    0 to 149 and "don't care" at 150.
    """

    def __init__(self, generator: Generator):
        super().__init__(generator.label_channels, generator.z_dim)
        self.generator = generator
        self.eval()

    def forward(self, segmap: Float[Tensor, "n c h w"], z: Float[Tensor, "n z"] | None = None) -> Tensor:
        """The image (n, 3, h, w) of label maps."""
        return self.generator(segmap.roll(1, dims=1), z)


def load_discriminator(source: Source) -> MultiScaleDiscriminator:
    """SPADE's discriminator, in evaluation mode: D(segmap, image) -> for each scale, finest first, its feature maps."""
    state = _read(source, "SPADE discriminator")
    normed = any(name.startswith("discriminator_0.model1.0.0.") for name in state)
    norm = "none"
    if normed:
        norm = "syncbatch" if "discriminator_0.model1.0.1.running_mean" in state else "instance"
    return _fill_discriminator(
        state,
        first=state["discriminator_0.model0.0.weight"],
        scales=_count(state, r"^discriminator_(\d+)\."),
        layers=_count(state, r"\.model(\d+)\."),
        norm=norm,
        spectral=any(name.endswith("weight_orig") for name in state),
        bias=not normed,
    )


def load_encoder(source: Source) -> StyleEncoder:
    """SPADE's style encoder, in evaluation mode: E(image) -> (mu, logvar)."""
    state = _read(source, "SPADE encoder")
    spectral = "layer1.0.weight_orig" in state
    first = state["layer1.0.weight_orig" if spectral else "layer1.0.weight"]
    depth = _count(state, r"^layer(\d+)\.")
    z_dim = len(state["fc_mu.weight"])
    return _fill(state, StyleEncoder, nef=len(first), z_dim=z_dim, image_size=4 * 2**depth, spectral=spectral)


def beside(generator: Path, letter: str) -> Path | None:
    """The file of a generator's D or E, latest_net_E.pth beside latest_net_G.pth; None where there is none."""
    other = generator.with_name(generator.name.replace("_G.", f"_{letter}."))
    return other if other != generator and other.is_file() else None


def load_pix2pixhd(source: Source, kind: str = "global") -> nn.Module:
    """One of pix2pixHD's published networks, in evaluation mode: "global", "local", "encoder" or "discriminator".

    G(segmap) -> image; E(image, instance) -> feature map averaged over instances; D(segmap, image) -> for each scale,
    finest first, its feature maps (the file has the coarsest first). Running statistics that instance norms kept in
    files from before torch 0.4 are dropped: nothing reads them.
    Errors: a UserError where the file is another network or isn't whole.
    """
    fill = {
        "global": _fill_global,
        "local": _fill_local,
        "encoder": _fill_feature_encoder,
        "discriminator": _fill_pix2pixhd_discriminator,
    }
    if kind not in fill:
        raise UserError(f"kind is one of {', '.join(map(repr, fill))}, not {kind!r}.")
    state = _read(source, f"pix2pixHD {kind}")
    for name in list(state):
        if name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            del state[name]
    return fill[kind](state)


def _fill_global(state: "_State") -> nn.Module:
    width, channels = state["model.1.weight"].shape[:2]
    downs = _count(state, r"^model\.(\d+)\.weight") // 2 - 1
    blocks = _count(state, r"^model\.(\d+)\.conv_block")
    return _fill(state, Pix2PixHDGenerator, channels, ngf=width, num_downsampling=downs, num_blocks=blocks)


def _fill_local(state: "_State") -> nn.Module:
    width, channels = state["model1_1.1.weight"].shape[:2]
    depths = dict(
        num_downsampling=_count(state, r"^model\.(\d+)\.weight") // 2,  # G1 without its last convolution
        num_blocks=_count(state, r"^model\.(\d+)\.conv_block"),
        num_local_blocks=_count(state, r"^model1_2\.(\d+)\.conv_block"),
    )
    return _fill(state, LocalEnhancer, channels, ngf=width, **depths)


def _fill_feature_encoder(state: "_State") -> nn.Module:
    width, channels = state["model.1.weight"].shape[:2]
    downs = _count(state, r"^model\.(\d+)\.weight") // 2 - 1
    return _fill(state, InstanceFeatureEncoder, channels, nef=width, num_downsampling=downs)


def _fill_pix2pixhd_discriminator(state: "_State") -> nn.Module:
    return _fill_discriminator(
        state,
        first=state["scale0_layer0.0.weight"],
        scales=_count(state, r"^scale(\d+)_"),
        layers=_count(state, r"_layer(\d+)\."),
        norm="instance",
        spectral=False,
        bias=True,
    )


def _fill_discriminator(
    state: "_State", *, first: Tensor, scales: int, layers: int, **options: Any
) -> MultiScaleDiscriminator:
    ndf, channels = first.shape[:2]
    widest = max(len(value) for value in state.values() if value.ndim == 4)
    sizes = dict(ndf=ndf, max_width=widest, num_scales=scales, num_layers=layers - 1)
    return _fill(state, MultiScaleDiscriminator, channels - 3, **sizes, **options)


def _fill(state: "_State", kind: type[Network], *args: Any, **options: Any) -> Network:
    """Build a network without memory of its own, check names and shapes, and give it copies of the tensors."""
    with torch.device("meta"):
        network = kind(*args, **options)
    own, names = network.state_dict(), official_names(network)
    _check(state, {official: own[name].shape for name, official in names.items()})
    tensors = {name: _float32(state[official]) for name, official in names.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def _float32(value: Tensor) -> Tensor:
    return value.detach().to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)


# Names ---------------------------------------------------------------------------------------------------------------


def to_official(module: nn.Module) -> dict[str, Tensor]:
    """A network's state dict under the official names; the tensors are the network's own, not copies.

    Its metadata say who wrote it, for `label_order`, and a generator's options, for `load_generator`.

    Errors: a UserError for a network that the official code doesn't have.
    """
    state = module.state_dict()
    named = OrderedDict((official, state[own]) for own, official in official_names(module).items())
    about: dict[str, Any] = dict(OWN_MARK)
    if isinstance(module, SPADEGenerator):
        about |= {"plan": module.plan, "latent": list(module.latent)}
    named.__dict__["_metadata"] = {"": about}
    return named


def official_names(module: nn.Module) -> dict[str, str]:
    """Own name -> official name, for every entry of the state dict."""
    if isinstance(module, MultiScaleDiscriminator):
        rename = _discriminator_names(module)
    elif isinstance(module, StyleEncoder):
        rename = _encoder_name
    elif type(module) in (SPADEGenerator, Pix2PixHDGenerator, LocalEnhancer, InstanceFeatureEncoder):
        rename = str  # the same names
    else:
        raise UserError(
            f"The official code has no {type(module).__name__}: save it with spade_edu.checkpoints instead."
        )
    spectral = {name for name, layer in module.named_modules() if isinstance(layer, SpectralNorm)}
    names = {}
    for name in module.state_dict():
        layer, _, leaf = name.rpartition(".")
        names[name] = f"{rename(layer)}.{SPECTRAL_NAMES.get(leaf, leaf) if layer in spectral else leaf}"
    return names


def _encoder_name(layer: str) -> str:
    """layers.0.0 -> layer1.0; fc_mu and fc_var stay."""
    if not layer.startswith("layers."):
        return layer
    _, number, position = layer.split(".")
    return f"layer{int(number) + 1}.{position}"


def _discriminator_names(module: MultiScaleDiscriminator) -> Callable[[str], str]:
    """scales.0.layers.1.0 -> discriminator_0.model1.0.0 (SPADE) or scale1_layer1.0 (pix2pixHD with two scales).

    SPADE nests a layer that has a norm once more. pix2pixHD's is the one that keeps a bias before the norm.
    """
    finest = module.scales[0]
    assert isinstance(finest, PatchDiscriminator)
    conv, norm, _ = finest.layers[1].children()
    normed = not isinstance(norm, nn.Identity)
    pix2pixhd = normed and conv.bias is not None

    def rename(name: str) -> str:
        _, scale, _, layer, position = name.split(".")
        if pix2pixhd:
            return f"scale{len(module.scales) - 1 - int(scale)}_layer{layer}.{position}"
        nest = "0." if normed and 0 < int(layer) < len(finest.layers) - 1 else ""
        return f"discriminator_{scale}.model{layer}.{nest}{position}"

    return rename


# What a file is ------------------------------------------------------------------------------------------------------

# A piece of a name that only this kind has (asked in this order), an entry that each of them has, how to read it.
KINDS = {
    "SPADE generator": ("head_0.norm_0.", "head_0.norm_0.mlp_shared.0.weight", "load_generator(...)"),
    "SPADE discriminator": ("discriminator_0.", "discriminator_0.model0.0.weight", "load_discriminator(...)"),
    "SPADE encoder": ("fc_mu.", "fc_mu.weight", "load_encoder(...)"),
    "pix2pixHD discriminator": ("scale0_layer", "scale0_layer0.0.weight", "load_pix2pixhd(..., 'discriminator')"),
    "pix2pixHD local": ("model1_1.", "model1_1.1.weight", "load_pix2pixhd(..., 'local')"),
    "pix2pixHD global": (".conv_block.", "model.1.weight", "load_pix2pixhd(..., 'global')"),
    "pix2pixHD encoder": ("model.1.weight", "model.1.weight", "load_pix2pixhd(..., 'encoder')"),
}
WITHOUT_LABELS = ("SPADE encoder", "pix2pixHD encoder")


class _State(dict):
    """The tensors of a file, what it notes about itself, and a word if a tensor is missing."""

    where = "The state dict"
    about: Mapping[str, Any] = {}

    def __missing__(self, name: str) -> Tensor:
        near = [other for other in self if other.startswith(name.rpartition(".")[0] + ".")]
        instead = f" (there is {near[0]})" if near else ""
        raise UserError(f"{self.where} looks like a {describe(self)}, but lacks {name}{instead}: is the file whole?")


def describe(state: State) -> str:
    """In words: what network a state dict of official names looks like, and of which data set."""
    kind = _kind(state)
    if kind is None:
        return "network that SPADE's and pix2pixHD's code don't have"
    first = state.get(KINDS[kind][1])
    if first is None or kind in WITHOUT_LABELS:
        return kind
    labels = first.shape[1] - 3 if "discriminator" in kind else first.shape[1]
    style = ", with VAE" if "fc.weight" in state and state["fc.weight"].ndim == 2 else ""
    return f"{kind} of {DATA_SETS.get(labels, 'another data set')} ({labels} label channels{style})"


def _kind(state: State) -> str | None:
    found = (kind for kind, (piece, _, _) in KINDS.items() if any(piece in name for name in state))
    return next(found, None)


def _read(source: Source, kind: str) -> _State:
    """The tensors of a file, however wrapped, which must look like the kind of network that is asked for."""
    content = source if isinstance(source, Mapping) else _read_file(Path(source))
    where = "The state dict" if isinstance(source, Mapping) else str(source)
    state = _State(_unwrapped(content, kind, where))
    state.where, state.about = where, _about(content)
    found = _kind(state)
    if found is None or not all(isinstance(value, Tensor) for value in state.values()):
        names = ", ".join(map(repr, list(state)[:2])) or "nothing"
        raise UserError(f"{where}: expected a {kind}, but it is a {describe({})}; it holds {names} ...")
    if found != kind:
        raise UserError(
            f"{where}: expected a {kind}, but it looks like a {describe(state)}: read it with {KINDS[found][2]}."
        )
    return state


def _unwrapped(content: Mapping, kind: str, where: str) -> Mapping:
    """The one network of a kind in a file's content, else one of another kind, else the content."""
    for sought in (kind, *KINDS):
        networks = list(find_networks(content, KINDS[sought][1]))
        if len(networks) > 1:
            names = ", ".join(repr(place.rstrip(".")) for place, _ in networks)
            raise UserError(
                f"{where} holds several networks of the kind {sought}: {names}. Save the one that is meant."
            )
        if networks:
            return networks[0][1]
    return content


def _about(content: Mapping) -> Mapping[str, Any]:
    """What a state dict's metadata say of the whole."""
    about = getattr(content, "_metadata", {}).get("", {})
    return about if isinstance(about, Mapping) else {}


def _read_file(path: Path) -> Mapping:
    if not path.is_file():
        raise UserError(f"There is no file {path}: the official checkpoints are called latest_net_G.pth and so on.")
    return read_state_dict(path)


def _check(state: _State, shapes: dict[str, torch.Size]) -> None:
    """Exactly these names, in exactly these shapes."""
    for name, shape in shapes.items():
        if state[name].shape != shape:
            raise UserError(
                f"{state.where}: {name} is {tuple(state[name].shape)}, but in this {describe(state)} it should be "
                f"{tuple(shape)}: is the file a mixture?"
            )
    unknown = [name for name in state if name not in shapes]
    if unknown:
        raise UserError(f"{state.where} looks like a {describe(state)}, but has an unknown entry {unknown[0]!r}.")


def _count(state: State, pattern: str) -> int:
    """How many different numbers a pattern with one group finds in the names."""
    return len(set(re.findall(pattern, "\n".join(state), re.MULTILINE)))
