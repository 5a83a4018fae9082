"""The published weights that scores need: what they are called, where they come from, where they lie.

They are read from SPADE_EDU_WEIGHTS or else from ~/.cache/spade_edu/weights. Nothing is downloaded unasked:
`spade-edu weights` does it for those with a stable address, and says where to put the others.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoints import load_archive
from ..errors import UserError
from ..files import meant
from .unwrapping import find_networks

VARIABLE = "SPADE_EDU_WEIGHTS"
StateDict = Mapping[str, Any]  # tensors, perhaps wrapped in further dicts
Source = str | Path | StateDict  # what weights are given as


@dataclass(frozen=True)
class Weights:
    """One published file. `origin` is for people; `url` a stable address of the file itself, if there is one.

    sha256 may be the first digits only (many files carry them in their name); empty where none was published.
    """

    file: str
    used_for: str
    origin: str
    url: str = ""
    sha256: str = ""
    md5: str = ""

    @property
    def path(self) -> Path:
        """Where the file is looked for."""
        return weights_folder() / self.file

    def find(self) -> Path:
        """The path, or a UserError that says where to get the file and where to put it."""
        if self.path.is_file():
            return self.path
        first = "run `spade-edu weights --download`, or get it" if self.url else "get it"
        by = f" ({VARIABLE} says where)" if os.environ.get(VARIABLE) else ""
        raise UserError(f"weights missing: {first} from {self.origin} and put it at {self.path}{by}.")

    def verify(self, path: Path) -> bool | None:
        """Whether the file has the published hash; None where no hash was published."""
        for name, published in (("sha256", self.sha256), ("md5", self.md5)):
            if published:
                with path.open("rb") as file:
                    return hashlib.file_digest(file, name).hexdigest().startswith(published)
        return None


_CSAIL = "http://sceneparsing.csail.mit.edu/model/pytorch/"
_DEEPLAB = "https://github.com/kazuto1011/deeplab-pytorch/releases"
_INCEPTION = "https://github.com/mseitzer/pytorch-fid/releases"


def _upernet(name: str, folder: str, used_for: str) -> dict[str, Weights]:
    files = {part: f"{folder}/{part}_epoch_50.pth" for part in ("encoder", "decoder")}
    return {f"{name}_{part}": Weights(file, used_for, _CSAIL + file) for part, file in files.items()}


CATALOGUE = {
    "drn_d_105": Weights(
        "drn-d-105_ms_cityscapes.pth",
        "mIoU and accuracy on Cityscapes",
        "the folder https://go.yf.io/drn-cityscapes-models (Google Drive, linked by github.com/fyu/drn)",
        md5="22f6aac9dc4dcf255bad997463fd40d0",
    ),
    **_upernet("upernet101", "ade20k-resnet101-upernet", "mIoU and accuracy on ADE20K"),
    # SPADE's issue 39 names the folder, not the epoch; programs of the time take epoch 50
    **_upernet("upernet101-baseline", "baseline-resnet101-upernet", "the same with the network of SPADE's Table 1"),
    "deeplabv2_resnet101": Weights(
        "deeplabv2_resnet101_msc-cocostuff164k-100000.pth",
        "mIoU and accuracy on COCO-Stuff",
        f"release v1.0 of {_DEEPLAB}",
        url=f"{_DEEPLAB}/download/v1.0/deeplabv2_resnet101_msc-cocostuff164k-100000.pth",
    ),
    "inception": Weights(
        "pt_inception-2015-12-05-6726825d.pth",
        "FID and KID",
        f"release fid_weights of {_INCEPTION}",
        url=f"{_INCEPTION}/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d",
    ),
    "inception_torchvision": Weights(
        # the numbers that pytorch-fid took until May 2019, saved again in 2021 (pytorch/vision, pull request 3851)
        str(Path(torch.hub.get_dir()) / "checkpoints" / "inception_v3_google-0cc3c7bd.pth"),
        "FID and KID as SPADE's paper may have computed them (evaluate --fid-network torchvision-2019)",
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        url="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        sha256="0cc3c7bd",
    ),
    "vgg19": Weights(
        # torchvision's own cache, for the perceptual loss reads it from there
        str(Path(torch.hub.get_dir()) / "checkpoints" / "vgg19-dcbb9e9d.pth"),
        "the perceptual loss of training, and diversity",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9d",
    ),
}


def weights_folder() -> Path:
    """The folder of downloaded weights: SPADE_EDU_WEIGHTS, else ~/.cache/spade_edu/weights."""
    return meant(os.environ.get(VARIABLE) or Path.home() / ".cache" / "spade_edu" / "weights")


def fetch(entry: Weights, *, loopback: bool = False, attempts: int = 5) -> Path:
    """Download a file with a stable address over an encrypted connection and verify it; it is kept only if sound.

    loopback: also accept unencrypted connections to this machine itself (for tests).
    """
    from ..data.download import Archive
    from ..data.download import fetch as receive

    entry.path.parent.mkdir(parents=True, exist_ok=True)
    path = receive(Archive(entry.url, page=entry.origin), entry.path, loopback=loopback, attempts=attempts)
    if entry.verify(path) is False:
        path.unlink()
        raise UserError(f"{entry.url} gave another file than was published (its hash differs): it was deleted.")
    return path


def read_state_dict(source: Source) -> StateDict:
    """The state dict of a file (read without executing code), or the one given; a UserError if it is no such file."""
    if isinstance(source, Mapping):
        return source
    path = Path(source).expanduser()
    if not path.is_file():
        raise UserError(f"weights missing: there is no file {path}.")
    try:
        state = load_archive(path)
    except UserError:
        raise
    except Exception:  # torch raises many kinds for files that are broken or hold code, which is never run
        raise UserError(
            f"{path} is not a file of PyTorch weights: was the download cut off, or does it hold more than tensors? "
            "Of a whole model, save model.state_dict() where it came from."
        ) from None
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: expected a state dict (names and tensors), found {type(state).__name__}.")
    return state


def load_strictly(module: nn.Module, state: StateDict, name: str) -> None:
    """Load a state dict in which every name and shape fits, whatever wraps it; else a UserError with a difference."""
    wrapped = [found for _, found in find_networks(state, next(iter(module.state_dict())))]
    try:
        module.load_state_dict(wrapped[0] if len(wrapped) == 1 else state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(f"these are not the weights of {name}: {first[:160]}") from None
