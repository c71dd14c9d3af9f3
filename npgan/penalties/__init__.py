"""Gradient penalties: what keeps a critic smooth. Their own gradients flow to its weights through the R-maps."""

from npgan.penalties.base import GradientPenalty, Penalized
from npgan.penalties.curvature import Curvature, penalty_product
from npgan.penalties.points import POINTS, Draw
from npgan.penalties.standard import PENALTIES, get_penalty

__all__ = ["PENALTIES", "POINTS", "Curvature", "Draw", "GradientPenalty", "Penalized", "get_penalty", "penalty_product"]
