"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready.

The student's own file, my_spade.py: `keep`, `borrow`, `parts` (student.py); `save_folder`, `bring_back` (saving.py);
`home` finds it again (own_folder.py). Notebook 11 trains what is in it (yours.py).
"""

from .lab import Lab, start
from .own_folder import home
from .saving import bring_back, save_folder
from .student import borrow, keep, parts

__all__ = ["Lab", "borrow", "bring_back", "home", "keep", "parts", "save_folder", "start"]
