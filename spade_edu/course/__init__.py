"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready.

The student's own file, my_spade.py: `keep`, `borrow`, `parts` (student.py).
"""

from .lab import Lab, start
from .student import borrow, keep, parts

__all__ = ["Lab", "borrow", "keep", "parts", "start"]
