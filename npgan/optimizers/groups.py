"""Parameter groups: which weights of a flat vector are frozen, or have a learning rate or decay of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from npgan.errors import ConfigError
from npgan.options import make, number

Range = tuple[int, int]


@dataclass(frozen=True)
class Group:
    """Weights that are treated alike.

    Attributes
    ----------
    ranges : str or sequence of (start, stop), optional
        Slices of the flat vector, or a pattern for the names of the network's parameters: ``"*/gamma"``
        (`fnmatch`; a ``*`` stands for slashes too). None is all that no other group has.
    lr : float
        Factor on the learning rate, at least 0.
    weight_decay : float, optional
        Weight decay, at least 0; by default the optimizer's.
    frozen : bool
        Neither the weights nor their moments change.
    """

    ranges: str | Sequence[Range] | None = None
    lr: float = 1.0
    weight_decay: float | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        number("group: lr", self.lr, least=0)
        if self.weight_decay is not None:
            number("group: weight_decay", self.weight_decay, least=0)
        if not isinstance(self.frozen, bool):
            raise ConfigError(f"group: frozen is {self.frozen!r}, expected true or false")


@dataclass(frozen=True)
class Segment:
    """A slice [start, stop) of the flat vector that is treated alike throughout."""

    start: int
    stop: int
    lr: float = 1.0
    weight_decay: float = 0.0
    frozen: bool = False


def segments(
    size: int,
    groups: Sequence[Group | Mapping[str, Any]] | None = None,
    names: Mapping[str, Range] | None = None,
    weight_decay: float = 0.0,
) -> tuple[Segment, ...]:
    """Return the slices, in order, that the groups divide a vector of `size` weights into.

    Neighbours that are treated alike are joined, so that without groups (or with groups that make no
    difference) there is one, and an update is one call.

    Parameters
    ----------
    size : int
        P.
    groups : sequence of Group or mapping, optional
        A mapping has a Group's attributes, as in a configuration file. One group of everything by default.
    names : mapping of str to (start, stop), optional
        Which parameter is where; for patterns.
    weight_decay : float
        Of the groups that do not have their own.

    Raises
    ------
    ConfigError
        Groups that overlap, leave a gap or do not fit the vector; a pattern that fits no name, or no names to
        fit.
    """
    made = [group if isinstance(group, Group) else _from_mapping(group) for group in groups or [Group()]]
    pieces: list[Segment] = []
    for group in made:
        own = weight_decay if group.weight_decay is None else group.weight_decay
        found = () if group.ranges is None else _ranges(group.ranges, size, names)
        pieces += [Segment(start, stop, group.lr, own, group.frozen) for start, stop in found if start < stop]
    pieces.sort(key=lambda piece: piece.start)
    for before, after in pairwise(pieces):
        if after.start < before.stop:
            raise ConfigError(
                f"groups overlap: weights {after.start} to {min(before.stop, after.stop) - 1} are in two of them"
            )
    gaps = _gaps(pieces, size)
    rest = [group for group in made if group.ranges is None]
    if len(rest) > 1:
        raise ConfigError("groups: two of them have no ranges, and only one can be all the rest")
    if rest:
        own = weight_decay if rest[0].weight_decay is None else rest[0].weight_decay
        pieces += [Segment(start, stop, rest[0].lr, own, rest[0].frozen) for start, stop in gaps]
        pieces.sort(key=lambda piece: piece.start)
    elif gaps:
        start, stop = gaps[0]
        raise ConfigError(
            f"groups leave weights {start} to {stop - 1} of {size} out; add a group without ranges for all the rest"
        )
    return _joined(pieces)


def _from_mapping(table: Any) -> Group:
    if not isinstance(table, Mapping):
        raise ConfigError(f"groups has {table!r}, expected a Group or a table with its attributes")
    return make("parameter", {"group": Group}, "group", table)


def _ranges(ranges: str | Sequence[Range], size: int, names: Mapping[str, Range] | None) -> list[Range]:
    if isinstance(ranges, str):
        if names is None:
            raise ConfigError(f"group {ranges!r} is a pattern, but the optimizer was not told the parameters' names")
        found = [span for name, span in names.items() if fnmatchcase(name, ranges)]
        if not found:
            close = get_close_matches(ranges, names, n=3, cutoff=0.3) or list(names)[:3]
            raise ConfigError(f"group {ranges!r} fits no parameter; names are such as {', '.join(close)}")
    else:
        found = [_span(span) for span in ranges]
    for start, stop in found:
        if not 0 <= start <= stop <= size:
            raise ConfigError(f"group: the range ({start}, {stop}) is not in a vector of {size} weights")
    return found


def _span(span: Any) -> Range:
    try:
        start, stop = span
        return int(start), int(stop)
    except (TypeError, ValueError):
        raise ConfigError(f"group: ranges has {span!r}, expected pairs (start, stop)") from None


def _gaps(pieces: Sequence[Segment], size: int) -> list[Range]:
    edges = [0, *(edge for piece in pieces for edge in (piece.start, piece.stop)), size]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]


def _joined(pieces: Sequence[Segment]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and (last.lr, last.weight_decay, last.frozen) == (piece.lr, piece.weight_decay, piece.frozen):
            joined[-1] = Segment(last.start, piece.stop, piece.lr, piece.weight_decay, piece.frozen)
        else:
            joined.append(piece)
    return tuple(joined)
