"""What a training reads: the same pictures as before, and errors as they are, not as the text of a traceback."""

import json
from pathlib import Path

from torch.utils.data import Dataset as TorchDataset

from ..data.base import Dataset, Sample, stack
from ..data.paired import PairedFiles, hash_of_names
from ..errors import UserError

FILE = "data.json"


def data_identity(dataset: Dataset) -> dict[str, int | str]:
    """What tells a data set from another one under the same settings: how many pictures, and a hash of their names."""
    names = [pair.name for pair in dataset.pairs] if isinstance(dataset, PairedFiles) else []
    return {"pictures": len(dataset), "names": hash_of_names(names)}


def require_same_data(folder: Path, dataset: Dataset) -> None:
    """Raise a UserError where the run in a folder was begun on other pictures: order and rates would change midway."""
    try:
        before = json.loads((folder / FILE).read_text(encoding="utf-8"))
        pictures, names = before["pictures"], before["names"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # not begun, or by an earlier version
        return
    now = data_identity(dataset)
    if (pictures, names) != (now["pictures"], now["names"]):
        other = f"now there are {now['pictures']}" if pictures != now["pictures"] else "now they have other names"
        raise UserError(
            f"{folder} holds a run on {pictures} pictures, {other}: bring back the data that it was begun on, or "
            "choose another --out."
        )


class Told(TorchDataset):
    """A data set that gives its errors back in place of the picture, so that torch doesn't wrap them up."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample | Exception:
        try:
            return self.dataset[index]
        except (UserError, OSError) as error:
            return error


def stack_or_error(samples: list[Sample | Exception]) -> Sample | Exception:
    """A batch, or the first error among its pictures."""
    errors = [sample for sample in samples if isinstance(sample, Exception)]
    return errors[0] if errors else stack([sample for sample in samples if not isinstance(sample, Exception)])
