"""The figures and the film of the study of modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array
from npgan.study.studies.drawing import GREY, RED, SKY, legend_below, look, new_figure, panels, pixels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPENT = "evaluations of both gradients"
_FILMED = 8  # ways of training, beside each other
_TOGETHER = 8  # curves in an axes
_SHADED = 5  # more ways than that would hide each other


def draw_modes(found: Any) -> dict[str, Figure]:
    """Return the figures of a `ModesStudy`."""
    return {"table": _table(found), "run": _run(found), "samples": _samples(found, -1)}


def film_modes(found: Any) -> dict[str, list[Array]]:
    """Return the frames of the film of samples."""
    return {"samples": [pixels(_samples(found, i)) for i in range(len(found.evaluations))]}


def _table(found: Any) -> Figure:
    count = len(found.rows)
    figure = new_figure(
        12,
        1.8 + 0.42 * count,
        f"{found.data}, {_seeds(found)}, {found.evaluations[-1]:,} gradients",
    )
    modes, high, divergence = figure.subplots(1, 3, sharey=True)
    for axes, what, scale in ((modes, "modes", 1), (high, "high", 100), (divergence, "divergence", 1)):
        for i, row in enumerate(found.rows):
            values = scale * np.asarray(getattr(row, what), float)
            mean, half = (scale * part for part in getattr(row, f"mean_{what}"))
            seen = np.isfinite(values)
            axes.plot(values[seen], np.full(seen.sum(), i), "o", color=SKY, markersize=7, alpha=0.8)
            if np.isfinite(mean):
                error = None if np.isnan(half) else half
                axes.errorbar(mean, i, xerr=error, fmt="D", color=RED, capsize=4, markersize=6, linewidth=1.8)
    modes.set_yticks(range(count), [row.name for row in found.rows])
    modes.set_ylim(count - 0.4, -0.6)
    modes.axvline(len(found.means), color=GREY, linewidth=1)
    modes.set_xlim(-0.5, len(found.means) + 0.5)
    high.axvline(95, color=GREY, linewidth=1)
    high.set_xlim(-2, 102)
    divergence.set_xlim(left=-0.03 * divergence.get_xlim()[1])
    styled(modes, "Modes captured", f"of {len(found.means)}")
    styled(high, "High quality (line: 95 %)", "% of samples")
    styled(divergence, "KL to the mixture's shares", "nats")
    for axes, word in ((modes, "seeds"), (modes, "mean, 95 %")):
        if word == "seeds":
            axes.plot([], [], "o", color=SKY, label="a seed")
        else:
            axes.errorbar([], [], xerr=[], fmt="D", color=RED, capsize=4, label="mean with its 95 % interval")
    legend_below(figure, modes, 2)
    return figure


def _run(found: Any) -> Figure:
    parts = _parts(found)
    shaded = len(found.rows) <= _SHADED
    title = f"{found.data} through training: means over {_seeds(found)}{'; shaded: all of them' * shaded}"
    figure = new_figure(max(7.0, 4.4 * len(parts)), 9, title)
    axes = figure.subplots(2, len(parts), sharex=True, sharey="row", squeeze=False)
    for (modes, high), (name, rows) in zip(axes.T, parts, strict=True):
        for i, row in enumerate(rows):
            for each, values in ((modes, row.modes_by_look), (high, 100 * row.high_by_look)):
                if shaded:
                    span = values.min(axis=0), values.max(axis=0)
                    each.fill_between(found.evaluations, *span, alpha=0.15, color=look(i)["color"])
                each.plot(found.evaluations, values.mean(axis=0), label=row.name, linewidth=2, **look(i))
        high.axhline(95, color=GREY, linewidth=1)
        styled(modes, name, "", f"modes captured of {len(found.means)}")
        styled(high, "", SPENT, "% of high quality (line: 95)")
        high.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=10, frameon=False)
        for each in (modes, high):
            each.label_outer()
    axes[0, 0].set_ylim(-0.3, len(found.means) + 0.6)
    axes[1, 0].set_ylim(-2, 102)
    return figure


def _parts(found: Any) -> list[tuple[str, list[Any]]]:
    """Return what is drawn together, and its title: a few ways of one kind, beside the preset and the plain GAN."""
    first, kinds = _kinds(found)
    if len(found.rows) <= _TOGETHER:
        return [("", found.rows)]
    parts = []
    for kind, rows in kinds.items():
        pieces = -(-len(rows) // (_TOGETHER - len(first)))
        split = np.array_split(np.arange(len(rows)), pieces)
        parts += [(f"By {kind}", [*first, *(rows[i] for i in piece)]) for piece in split]
    return parts


def _kinds(found: Any) -> tuple[list[Any], dict[str, list[Any]]]:
    """Return the preset and the plain GAN, and the rows with another loss, penalty and rule."""
    first: list[Any] = []
    kinds: dict[str, list[Any]] = {}
    for row in found.rows:
        kind = row.name.partition(" ")[0]
        (kinds.setdefault(kind, []) if kind in ("loss", "penalty", "rule") else first).append(row)
    return first, kinds


def _filmed(found: Any) -> list[Any]:
    """Return the rows whose samples are shown: of many the first, and the best and the worst of each kind."""
    if len(found.rows) <= _FILMED:
        return list(found.rows)
    first, kinds = _kinds(found)
    for rows in kinds.values():
        best, worst = (choose(rows, key=lambda row: (row.mean_modes[0], row.mean_high[0])) for choose in (max, min))
        first += [best, worst][: len(rows)]
    return first


def _seeds(found: Any) -> str:
    return f"{len(found.seeds)} seed{'s' * (len(found.seeds) > 1)}"


def _samples(found: Any, frame: int) -> Figure:
    rows = _filmed(found)
    columns = min(4, len(rows))
    figure = new_figure(
        3.7 * columns,
        4.5 * -(-len(rows) // columns),
        f"{found.data}, seed {found.seeds[0]}, after {found.evaluations[frame]:,} gradients",
    )
    for axes, row in zip(panels(figure, len(rows), columns, sharex=True, sharey=True), rows, strict=True):
        _cloud(axes, found, row, frame)
    return figure


def _cloud(axes: Axes, found: Any, row: Any, frame: int) -> None:
    from matplotlib.collections import EllipseCollection

    width = 6 * found.deviation  # three deviations to either side
    rings = EllipseCollection(
        width, width, 0, units="xy", offsets=found.means, transOffset=axes.transData, facecolors="none", edgecolors=GREY
    )
    axes.add_collection(rings)
    axes.plot(row.film[frame, :, 0], row.film[frame, :, 1], ".", color=RED, markersize=3, alpha=0.6)
    reach = 1.3 * float(np.abs(found.means).max())
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    count, good = row.modes_by_look[0, frame], row.high_by_look[0, frame]
    styled(
        axes,
        f"{row.name}\n{count} mode{'' if count == 1 else 's'}, {good:.0%} good",
        "first coordinate",
        "second coordinate",
        grid=False,
    )
    axes.label_outer()
