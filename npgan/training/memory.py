"""How much memory of a device a training takes, before it takes it, and the largest batch that would fit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import TYPE_CHECKING

from npgan.backend.sizes import size_text
from npgan.data.device import resident_bytes
from npgan.game import Player

if TYPE_CHECKING:
    from npgan.training.experiment import Experiment

_SNAPSHOTS = 4  # of weights and moments: see `npgan.game.recorded`; three windows, and one while a step is recorded


@dataclass(frozen=True)
class Need:
    """Bytes that a training takes, by what takes them."""

    passes: int
    batches: int
    weights: int
    moments: int
    snapshots: int
    data: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        parts = [f"{f.name} {size_text(getattr(self, f.name))}" for f in fields(self) if getattr(self, f.name)]
        return f"{size_text(self.total)}: {', '.join(parts)}"


def need(experiment: Experiment, batch: int | None = None, *, resident: bool | None = None) -> Need:
    """Return what an experiment needs.

    Parameters
    ----------
    experiment : Experiment
    batch : int, optional
        As if its batches were of this size; nothing is allocated to find out.
    resident : bool, optional
        With the whole data set on the device; by default as it is.
    """
    game, players = experiment.game, tuple(experiment.players.values())
    batch = game.batch if batch is None else batch
    item = game.generator.dtype.itemsize
    weights = sum((2 * each.network.size + each.network.state.size) * item for each in players)
    moments = sum(sum(array.nbytes for array in each.optimizer.state().values()) for each in players)
    moments += sum(each.ema.mean.nbytes for each in players if each.ema is not None)
    state = sum(_state_bytes(each) for each in players)
    sample = prod(game.discriminator.input_shape) * item + 8  # and its label
    turns = getattr(experiment.rule, "n_critic", 1)
    on_device = experiment.resident if resident is None else resident
    return Need(
        passes=(game if batch == game.batch else game.resized(batch)).nbytes,
        batches=batch * sample * (turns + 3) + batch * prod(game.generator.input_shape) * item,
        weights=weights,
        moments=moments,
        snapshots=_SNAPSHOTS * state if experiment.steps.reason is None else 0,
        data=resident_bytes(experiment.dataset) if on_device else 0,
    )


def _state_bytes(player: Player) -> int:
    network = player.network
    arrays = [network.theta, network.state, *player.optimizer.state().values()]
    return sum(array.nbytes for array in arrays) + (0 if player.ema is None else player.ema.mean.nbytes)


def largest_batch(experiment: Experiment, room: int) -> int:
    """Return the largest batch with which an experiment needs at most `room` bytes; 0 where even one sample is more."""
    fits, fails = 0, 1
    while need(experiment, fails).total <= room:
        fits, fails = fails, 2 * fails
        if fails > 1 << 20:
            return fits
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if need(experiment, middle).total <= room:
            fits = middle
        else:
            fails = middle
    return fits


def too_little(experiment: Experiment, room: int) -> str:
    """Return what to say where the memory does not suffice: what is needed, and the largest batch that would fit."""
    batch = largest_batch(experiment, room)
    advice = f"the largest batch that would fit is {batch}" if batch else "not even a batch of one sample would fit"
    return f"the training needs {need(experiment)}; there are {size_text(room)}; {advice}"
