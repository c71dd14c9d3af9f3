"""Training steps that are written down once and replayed, with results that are read late.

What a step does is `Alternating.iterate`, here as everywhere. On a backend that records, its kernel calls are made by
the first step of each kind (a penalty that is due in some steps makes two kinds), written down by the second, and
replayed by all others; the bits are the same. Where what Python computes is not written down, the first replay is
compared with the step as it is written, and if one bit differs, steps are not recorded. Losses and norms stay where
they are computed until somebody asks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.recording import CannotRecordError, Reading, Recording
from npgan.backend.sizes import size_text
from npgan.game.alternating import Alternating, Data
from npgan.game.minibatch import MiniBatches
from npgan.game.player import Player

Known = list[tuple[int, dict[str, float]]]

_MOST_WINDOWS = 2  # that the host is ahead by, each with a snapshot
_MOST_BYTES = 64_000_000  # of a snapshot in the host's memory: more would be a good part of all that a step takes


class Steps:
    """The training steps of a rule, recorded where that can be done.

    Parameters
    ----------
    rule : Alternating or MiniBatches
    record : bool
        Record where that can be done.
    window : int
        After so many steps at the latest it is seen whether everything was finite.

    Attributes
    ----------
    reason : str or None
        Why steps are not recorded; None as long as they are.
    """

    def __init__(self, rule: Alternating | MiniBatches, *, record: bool = True, window: int = 100) -> None:
        self.rule, self.window = rule, window
        self.backend = rule.game.generator.backend
        self.reason = "recording is switched off" if not record else _reason(rule)
        self._now = -1  # the last step
        self._data: Data | None = None
        self._batches: list[tuple[Array, Array | None]] = []  # where recorded steps find them
        self._recordings: dict[Any, Recording | None] = {}  # by kind of step; None: run once, not yet recorded
        self._unchecked: set[Any] = set()  # kinds whose replay has not been compared
        self._names: dict[Any, tuple[str, ...]] = {}
        self._kind: Any = None
        self._found: dict[str, float] = {}  # of the last step, where it was not recorded
        self._asked: deque[_Window] = deque()
        self._start = -1  # of the window that is open; -1: none
        self._players = (rule.G, rule.D)
        self._snapshot: Snapshot | None = None  # of the window that is open
        self._spare: list[Snapshot] = []
        self._late: Known = []
        if self.reason is None:  # a flag, seven results, the losses and norms of D's other turns: see reduce.collect
            self._out = self.backend.zeros((8 + 2 * (self._alternating.n_critic - 1),), "float64")

    # ---------------------------------------------------------------- running

    def step(self, step: int, data: Data) -> None:
        """Run (or on a GPU: ask for) training step number `step`, from 0.

        Parameters
        ----------
        step : int
        data : callable
            The number of a batch -> examples, labels: the same whenever it is asked, as a step may be run again.

        Raises
        ------
        NonFiniteError
            See `Alternating.step`; from recorded steps it comes as late as their results.
        """
        self._data = data
        if self.reason is not None:
            self._now, self._found = step, self.rule.step(step, data)
            return
        turns = self._alternating.turns(step)
        kind = tuple(each.due(turn) for turn in turns for each in self._alternating.game.penalties)
        recording = self._recordings.get(kind)
        replayed = recording is not None and kind not in self._unchecked
        if not replayed or (self._start >= 0 and step - self._start >= self.window):
            self._close(wanted=False)
        if not replayed or all(window.reading.ready for window in self._asked):  # and its snapshot is free again
            self._late += self._settle()  # what is wrong by now is not this step's
        self._now, self._kind = step, kind
        self._open(step)
        self._take(data)
        if recording is not None and replayed:
            recording.prepare()
            recording.launch()
        elif recording is not None:
            self._check(recording)
        elif kind in self._recordings:
            self._record()
        else:  # kernels are compiled, memory is made
            self._names[kind] = self._iterate()
            self._recordings[kind] = None

    @property
    def _alternating(self) -> Alternating:
        assert isinstance(self.rule, Alternating)
        return self.rule

    def _iterate(self) -> tuple[str, ...]:
        """Run the step of now and collect its results; return their names."""
        found, others = self._alternating.iterate(self.backend.live(lambda: self._now), self._batch)
        numbers = [*found.values(), *others]
        self.backend.kernels.reduce.collect(self._out[: len(numbers) + 1], numbers)
        return tuple(found)

    def _record(self) -> None:
        assert self.backend.recorder is not None
        assert self._data is not None
        assert self._snapshot is not None  # a window has just been opened
        before = self._snapshot
        recording = self.backend.recorder(self.backend)
        try:
            self._names[self._kind] = recording.record(self._iterate)
        except CannotRecordError as error:
            self.reason = str(error)
            before.put_back()
            self._found = self.rule.step(self._now, self._data)
        else:
            self._recordings[self._kind] = recording
            if recording.checks:  # this step is run as it is written, the next one both ways
                self._unchecked.add(self._kind)
                before.put_back()
                self._iterate()
            else:
                recording.launch()

    def _check(self, recording: Recording) -> None:
        """Run the step of now by its recording, and as it is written, and compare."""
        assert self._snapshot is not None  # a window has just been opened
        out = self._out.copy()
        recording.prepare()
        recording.launch()
        found, numbers = digest(self._players), self._out.copy()
        self._snapshot.put_back()
        self._out[...] = out
        self._iterate()
        self._unchecked.remove(self._kind)
        if found != digest(self._players) or numbers.tobytes() != self._out.tobytes():
            self.reason = "a replay has other bits than the step as it is written: something in it is no kernel"
            self._found = dict(zip(self._names[self._kind], self._out[1:].tolist(), strict=False))

    def _take(self, data: Data) -> None:
        """Copy the step's batches to where recorded steps find them."""
        for k, turn in enumerate(self._alternating.turns(self._now)):
            x, labels = data(turn)
            if k == len(self._batches):
                own = [None if a is None else self.backend.empty(a.shape, a.dtype) for a in (x, labels)]
                assert own[0] is not None
                self._batches.append((own[0], own[1]))
            mine, its = self._batches[k]
            self.backend.copy(mine, x)
            if its is not None and labels is not None:
                self.backend.copy(its, labels)

    def _batch(self, turn: Any) -> tuple[Array, Array | None]:
        return self._batches[int(turn) - self._alternating.turns(self._now)[0]]

    # ---------------------------------------------------------------- results

    def read(self) -> None:
        """Ask for the results of the last step; `known` returns them when they are here."""
        if self.reason is None:
            self._close(wanted=True)
        else:
            self._late.append((self._now, self._found))

    def known(self, *, wait: bool = False) -> Known:
        """Return what has arrived of what was asked for, in order: steps and their results, as `Alternating.step`'s.

        Parameters
        ----------
        wait : bool
            Until all of it is here. What is asked of the weights afterwards is of steps that were finite.

        Raises
        ------
        NonFiniteError
            A step since was not finite. It has been run again as it is written, up to there: the message names the
            step and the first bad array, and the weights are those before that player's turn.
        """
        if wait and self.reason is None and self._start >= 0:
            self._close(wanted=False)
        found, self._late = self._late, []
        while self._asked and (wait or self._asked[0].reading.ready):
            found += self._arrived()
        return found

    def _open(self, step: int) -> None:
        """Begin a window, unless one is open."""
        if self._start < 0:
            self._start = step
            self._snapshot = self._spare.pop() if self._spare else Snapshot(self._players, take=False)
            self._snapshot.take()

    def _close(self, *, wanted: bool) -> None:
        """Ask for the results of the window that is open."""
        if self._start < 0:  # it was closed after the last step: only that was not known to be wanted
            return
        assert self._snapshot is not None
        names = self._names[self._kind] if wanted else None
        reading = self.backend.read_later(self._out)
        self._asked.append(_Window(self._start, self._now, names, reading, self._snapshot))
        self._start = -1
        while len(self._asked) > _MOST_WINDOWS:
            self._late += self._arrived()

    def _arrived(self) -> Known:
        """Take the results of the oldest window."""
        window = self._asked[0]
        bad, *numbers = window.reading.get().tolist()
        if bad:
            return self._again()
        self._asked.popleft()
        self._spare.append(window.snapshot)
        return [] if window.names is None else [(window.last, dict(zip(window.names, numbers, strict=False)))]

    def _settle(self) -> Known:
        """Take all results that are on their way."""
        found: Known = []
        while self._asked:
            found += self._arrived()
        return found

    def _again(self) -> Known:
        """Run all steps since the oldest window began again, as they are written: what is not finite is named."""
        assert self._data is not None
        windows = list(self._asked)
        self._asked.clear()
        if self._start >= 0 and self._snapshot is not None:
            self._spare.append(self._snapshot)
        self._start = -1
        wanted = {window.last for window in windows if window.names is not None}
        windows[0].snapshot.put_back()
        self._out[0] = 0
        found = []
        for step in range(windows[0].start, self._now + 1):
            values = self.rule.step(step, self._data)
            if step in wanted:
                found.append((step, values))
        self._spare += [window.snapshot for window in windows]  # and so they were: a mean of scores was not, say
        return found


@dataclass
class _Window:
    """Steps `start` to `last`, whose numbers were asked for."""

    start: int
    last: int
    names: tuple[str, ...] | None
    reading: Reading
    snapshot: Snapshot


class Snapshot:
    """A copy of everything of the players that a step changes.

    Parameters
    ----------
    players : tuple of Player
    take : bool
        Of how they are now; else `take` comes later.
    """

    def __init__(self, players: tuple[Player, ...], *, take: bool = True) -> None:
        self._players = players
        self._copies = [{key: array.copy() for key, array in _arrays(player).items()} for player in players]
        self._counts: list[tuple[int, int]] = []
        if take:
            self.take()

    def take(self) -> None:
        """Copy."""
        for player, copies in zip(self._players, self._copies, strict=True):
            for key, array in _arrays(player).items():
                player.network.backend.copy(copies[key], array)
        self._counts = [_counts(player) for player in self._players]

    def put_back(self) -> None:
        """Make the players what they were."""
        for player, copies, (t, ema_t) in zip(self._players, self._copies, self._counts, strict=True):
            player.network.load(copies["theta"], copies["state"])
            player.optimizer.load_state({name: copies[f"optimizer/{name}"] for name in player.optimizer.state()}, t)
            if player.ema is not None:
                player.ema.load_state({"mean": copies["ema/mean"]}, ema_t)


def digest(players: tuple[Player, ...]) -> bytes:
    """Return what tells two states of the players, in host memory, from each other."""
    found = blake2b()
    for player in players:
        found.update(repr(_counts(player)).encode())
        for array in _arrays(player).values():
            found.update(array.view(np.uint8).data)
    return found.digest()


def _counts(player: Player) -> tuple[int, int]:
    return player.optimizer.t, player.ema.t if player.ema is not None else 0


def _arrays(player: Player) -> dict[str, Array]:
    found = {"theta": player.network.theta, "state": player.network.state}
    found |= {f"optimizer/{name}": array for name, array in player.optimizer.state().items()}
    if player.ema is not None:
        found |= {"ema/mean": player.ema.mean}
    return found


def _reason(rule: Alternating | MiniBatches) -> str | None:
    """Return why the steps of a rule cannot be recorded, as far as can be told beforehand."""
    game = rule.game
    recorder = game.generator.backend.recorder
    if recorder is None:
        return f"the {game.generator.backend.name} backend does not record"
    if not isinstance(rule, Alternating):
        return f"the rule is {rule.rule}, and only the alternating step is recorded"
    if game.generator.backend is not game.discriminator.backend:
        return "the players were given two backends"
    taken = sum(array.nbytes for player in (rule.G, rule.D) for array in _arrays(player).values())
    if recorder.checks and taken > _MOST_BYTES:
        return f"a copy of the players would take {size_text(taken)}, more than {size_text(_MOST_BYTES)}"
    for network in (game.generator, game.discriminator):
        for path, layer, _ in network.rows:
            if recorder.checks and not type(layer).__module__.startswith("npgan."):
                return f"{path} {type(layer).__name__} is a layer of yours: what it computes in Python would be lost"
    return None
