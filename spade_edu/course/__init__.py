"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready.

Predictions before a surprise: `predict`, `reveal`, `answer` (predictions.py); claims that are tested: claims.py.
The student's own file, my_spade.py: `keep`, `borrow`, `need`, `parts` (student.py);
`save_folder`, `bring_back` (saving.py).
"""

from .claims import claim, stored_claim
from .lab import Lab, start
from .predictions import answer, predict, reveal
from .saving import bring_back, save_folder
from .student import borrow, keep, need, parts

__all__ = [
    "Lab", "answer", "borrow", "bring_back", "claim", "keep", "need", "parts", "predict", "reveal", "save_folder",
    "start", "stored_claim",
]  # fmt: skip
