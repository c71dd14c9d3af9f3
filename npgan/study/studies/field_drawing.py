"""The figures of the study of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array
from npgan.study.studies.drawing import (
    BLACK,
    BLUE,
    DIVERGING,
    GREY,
    RED,
    legend_below,
    logarithmic,
    look,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 4  # checkpoints in a figure of maps


def draw_field(found: Any) -> dict[str, Figure]:
    """Return the figures of a `FieldStudy`."""
    return {"maps": _maps(found), "gradients": _gradients(found), "errors": _errors(found)}


def _plane(axes: Axes, found: Any, title: str) -> None:
    for colour, size, width in (("white", 10, 3.6), (BLACK, 8, 1.6)):  # seen on dark and on light
        axes.plot(found.means[:, 0], found.means[:, 1], "+", color=colour, markersize=size, markeredgewidth=width)
    axes.set_xlim(found.axis[0], found.axis[-1])
    axes.set_ylim(found.axis[0], found.axis[-1])
    axes.set_aspect("equal")
    styled(axes, title, "first coordinate", "second coordinate", grid=False)


def _maps(found: Any) -> Figure:
    which = np.unique(np.rint(np.linspace(0, len(found.looks) - 1, _SHOWN)).astype(int))
    figure = new_figure(
        3.7 * len(which) + 1,
        7.6,
        "D and what it should be; grey: G's image of a grid of latents; +: modes; dots: samples",
    )
    rows = figure.subplots(2, len(which), squeeze=False, sharex=True, sharey=True)
    reach = found.axis[-1]
    for axes, best, i in zip(rows[0], rows[1], which, strict=True):
        one = found.looks[i]
        for each, heat, title in (
            (axes, one.heat, f"D, step {one.step:,}"),
            (best, one.best_heat, "the best D for this G"),
        ):
            shown = each.imshow(
                heat.T, origin="lower", extent=(-reach, reach, -reach, reach), vmin=0, vmax=1, cmap=DIVERGING
            )
            _lines(each, one.manifold)
            _plane(each, found, title)
        best.plot(one.samples[:, 0], one.samples[:, 1], ".", color=BLACK, markersize=2.5)
    for axes in rows[0]:
        axes.set_xlabel("")
    for axes in rows[:, 1:].ravel():
        axes.set_ylabel("")
    bar = figure.colorbar(shown, ax=rows, shrink=0.8)
    bar.set_label("probability that a point is real", fontsize=11)
    return figure


def _lines(axes: Axes, manifold: Array) -> None:
    for grid in (manifold, manifold.transpose(1, 0, 2)):
        for line in grid[::2]:
            axes.plot(line[:, 0], line[:, 1], color=GREY, linewidth=0.5, alpha=0.6)


def _gradients(found: Any) -> Figure:
    one = found.looks[-1]
    count = len(found.losses)
    title = (
        f"Where samples are pushed at step {one.step:,} (arrows by the median length of their panel, cut at twice that)"
    )
    figure = new_figure(4.2 * count + 0.5, 8.2, title)
    rows = figure.subplots(2, count, squeeze=False, sharex=True, sharey=True)
    for k, name in enumerate(found.losses):
        for axes, arrows, colour, word in (
            (rows[0, k], one.felt[k], BLUE, "under D"),
            (rows[1, k], one.best[k], RED, "under the best D"),
        ):
            lengths = np.linalg.norm(arrows, axis=1)
            median = float(np.median(lengths))
            # Longer ones are cut at twice the median, for the eye's sake; the numbers are all in the JSON.
            factor = np.minimum(1.0, 2 * median / np.maximum(lengths, 1e-300))[:, None] / (median or 1.0)
            shown = arrows * factor
            axes.quiver(
                one.samples[:, 0], one.samples[:, 1], shown[:, 0], shown[:, 1], color=colour, scale=20, width=0.005
            )
            _plane(axes, found, f"{name}, {word}\nmedian length {median:.3g}")
    for axes in rows[0]:
        axes.set_xlabel("")
    for axes in rows[:, 1:].ravel():
        axes.set_ylabel("")
    return figure


def _errors(found: Any) -> Figure:
    figure = new_figure(14, 5.2, "How far the gradient on samples is from the best one")
    angle, bias, variance = figure.subplots(1, 3)
    steps = [each.step for each in found.looks]
    quarter, middle, most = (
        np.array([np.percentile(each.angles, level) for each in found.looks]) for level in (25, 50, 75)
    )
    angle.fill_between(steps, quarter, most, color=BLUE, alpha=0.2, label="_half of the samples")
    angle.plot(steps, middle, color=BLUE, linewidth=2, marker="o")
    angle.axhline(90, color=GREY, linewidth=1)
    angle.set_ylim(0, 180)
    angle.set_yticks([0, 45, 90, 135, 180], ["0", "45", "90\n(chance)", "135", "180"])
    styled(angle, "Angle (median, and the middle half)", "step", "angle between ∇t and ∇t* (degrees)")
    for axes, what, title in ((bias, "bias", "Squared bias"), (variance, "variance", "Variance over copies of D")):
        for k, name in enumerate(found.losses):
            values = [getattr(each, what)[k] for each in found.looks]
            axes.plot(steps, values, label=name, linewidth=2, marker="o", **look(k))
        logarithmic(axes)
        styled(axes, title, "step", "median, by the best gradient's square")
    legend_below(figure, bias, 5)
    return figure
