"""What a notebook starts with: `course.start("03")` (lab.py), its figures (plotting.py), and whether all is ready."""

from .lab import Lab, start

__all__ = ["Lab", "start"]
