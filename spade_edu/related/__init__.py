"""The systems that the SPADE paper compares with, and two that came after: one file each, small enough to train here.

    SYSTEMS["CLADE"](dataset, config, steps=240, seed=0)     -> a trained generator (see `System`)

They stand beside the course: nothing of the core imports them.
"""

from .clade import train_clade
from .common import System
from .crn import train_crn
from .oasis import train_oasis
from .sims import train_sims

SYSTEMS: dict[str, System] = {"CRN": train_crn, "SIMS": train_sims, "CLADE": train_clade, "OASIS": train_oasis}

__all__ = ["SYSTEMS", "System"]
