"""What a training reads, with errors as they are, not as the text of a traceback."""

from torch.utils.data import Dataset as TorchDataset

from ..data.base import Dataset, Sample, stack
from ..errors import UserError


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
