"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready.

The student's own file, my_spade.py: `keep`, `borrow`, `need`, `parts` (student.py);
`save_folder`, `bring_back` (saving.py).
"""

from .lab import Lab, start
from .saving import bring_back, save_folder
from .student import borrow, keep, need, parts

__all__ = ["Lab", "borrow", "bring_back", "keep", "need", "parts", "save_folder", "start"]
