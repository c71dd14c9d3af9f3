"""The curves of a run: losses and gradient norms against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.training.folder import write_atomically
from npgan.training.metrics import columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color universal design": told apart with any kind of colour vision. Yellow is left out: it is
# lost on white.
_PALETTE = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_PLAYERS = {"d": "#0072B2", "g": "#D55E00"}
_POINTS = 2000  # more than that cannot be told apart across a figure
_PANELS = (("loss_", "loss", False), ("grad_norm_", "gradient norm", True))


def loss_plot(metrics: Sequence[Mapping[str, float]], path: Path, title: str = "") -> None:
    """Draw every ``loss_...`` and ``grad_norm_...`` of a run: a bold running mean over the faint values.

    Parameters
    ----------
    metrics : sequence of mappings
        Rows, as `npgan.training.metrics.read` gives them; none makes an empty plot.
    path : Path
        Ends in ``.png`` or ``.svg``.
    title : str
        Text above.

    Raises
    ------
    ConfigError
        Another ending.
    CheckpointError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise ConfigError(f"the loss plot is to be {path.name}, expected a name that ends in .png or .svg")
    data = columns(metrics)
    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, (prefix, label, logarithmic) in zip(panels, _PANELS, strict=True):
        _panel(axes, data, prefix, label, logarithmic)
    panels[-1].set_xlabel("step", fontsize=11)
    if title:
        figure.suptitle(title, fontsize=13)
    file = BytesIO()
    # No date: the same run draws the same file.
    figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_atomically(path, file.getvalue())


def _panel(axes: Axes, data: Mapping[str, Array], prefix: str, label: str, logarithmic: bool) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    names = sorted(name for name in data if name.startswith(prefix))
    others = iter(_PALETTE * (1 + len(names) // len(_PALETTE)))
    for name in names:
        player = name.removeprefix(prefix)
        color = _PLAYERS.get(player) or next(others)
        x, y = _thinned(data["step"], data[name], logarithmic)
        dots = "o" if len(x) <= 30 else ""
        axes.plot(x, y, color=color, linewidth=0.8, alpha=0.3, marker=dots, markersize=4)
        axes.plot(
            x,
            running_mean(y, max(1, len(y) // 30)),
            color=color,
            linewidth=2,
            label=player.upper() if len(player) == 1 else player,
        )
    if logarithmic and names:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_ylabel(label, fontsize=11)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    if names:
        # Above the axes, where it hides nothing.
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=11, frameon=False, ncols=len(names), borderpad=0)
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no values yet", ha="center", va="center", transform=axes.transAxes, color="#666666")


def _thinned(x: Array, y: Array, positive: bool) -> tuple[Array, Array]:
    """Return the finite values, averaged in groups where there are more than a figure can show."""
    keep = np.isfinite(y) & (y > 0) if positive else np.isfinite(y)
    x, y = x[keep], y[keep]
    group = -(-len(x) // _POINTS)
    if group > 1:
        starts = np.arange(0, len(x), group)
        sizes = np.diff(starts, append=len(x))
        x, y = np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes
    return x, y


def running_mean(values: Array, half: int) -> Array:
    """Return the mean of each value and its up to `half` neighbours on either side; near an end there are fewer.

    Parameters
    ----------
    values : array
        ``(N,)``, finite.
    half : int
        Neighbours a side.
    """
    index = np.arange(len(values))
    first, last = np.maximum(index - half, 0), np.minimum(index + half, len(values) - 1)
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    mean: Array = (total[last + 1] - total[first]) / (last + 1 - first)
    return mean
