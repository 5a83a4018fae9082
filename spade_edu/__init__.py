"""Semantic image synthesis with spatially-adaptive normalization (SPADE), built stage by stage."""

from .labels import CAMVID, CITYSCAPES, IGNORE, LabelClass, LabelError, LabelSpace, instance_edges, one_hot

__all__ = ["CAMVID", "CITYSCAPES", "IGNORE", "LabelClass", "LabelError", "LabelSpace", "instance_edges", "one_hot"]
