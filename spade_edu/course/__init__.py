"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready.

Drawings of the networks: schematics.py, on the sheets of sheet.py.

Predictions before a surprise: `predict`, `reveal` (predictions.py); claims that are tested: claims.py.
The small trainings of stage 06, healthy and ill: clinic.py.
The student's own file, my_spade.py: `keep`, `borrow`, `need`, `parts` (student.py); `save_folder`, `bring_back`
(saving.py); `home` finds it again (own_folder.py). Notebook 11 trains what is in it (yours.py).
Runs, found again and carried to Drive and back: `save_runs`, `bring_runs` (runs_folder.py).
"""

from .claims import claim, stored_claim
from .lab import Lab, start
from .own_folder import home
from .predictions import predict, reveal
from .runs_folder import bring_runs, save_runs
from .saving import bring_back, save_folder
from .student import borrow, keep, need, parts

__all__ = [
    "Lab", "borrow", "bring_back", "bring_runs", "claim", "home", "keep", "need", "parts", "predict", "reveal",
    "save_folder", "save_runs", "start", "stored_claim",
]  # fmt: skip
