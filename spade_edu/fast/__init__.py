"""The exact savings of `TrainingConfig.fast`, one idea a file: same numbers up to rounding, less time and memory.

threads.py is of all torch here, `fast` or not.
"""
