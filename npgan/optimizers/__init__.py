"""Optimizers on one flat vector of weights, and what goes with them: schedules, groups, clipping, averages."""

from npgan.optimizers.adam import Adam, AdamW
from npgan.optimizers.base import Optimizer
from npgan.optimizers.ema import Ema
from npgan.optimizers.groups import Group, Segment, segments
from npgan.optimizers.rmsprop import RMSprop
from npgan.optimizers.schedules import SCHEDULES, Schedule, get_schedule
from npgan.optimizers.sgd import SGD
from npgan.optimizers.standard import OPTIMIZERS, get_optimizer
from npgan.optimizers.vectors import clip_norm, clip_value, finite, norm

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Ema",
    "Group",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "Segment",
    "clip_norm",
    "clip_value",
    "finite",
    "get_optimizer",
    "get_schedule",
    "norm",
    "segments",
]
