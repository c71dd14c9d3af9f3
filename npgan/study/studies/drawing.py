"""How the studies' figures look: legible from the last row, and told apart with any kind of colour vision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color universal design", without yellow, which is lost on white.
BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX<"
GREY = "#777777"
SEQUENTIAL, DIVERGING = "cividis", "PuOr"  # both safe with every kind of colour vision


def new_figure(width: float = 10.0, height: float = 5.6, title: str = "") -> Figure:
    """Return a figure that lays itself out; in inches, of 120 dots in PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=14)
    return figure


def panels(figure: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """Return that many axes in rows of `columns`; those that the last row has too many are taken away."""
    rows = -(-count // columns)
    found: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for axes in found[count:]:
        axes.remove()
    return found[:count]


def styled(axes: Axes, title: str = "", x: str = "", y: str = "", *, grid: bool = True) -> Axes:
    """Label an axes, and take away what shows nothing."""
    axes.set_title(title, fontsize=12)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.tick_params(labelsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(alpha=0.25, linewidth=0.6)
    return axes


def look(i: int) -> dict[str, Any]:
    """Return the colour and the dashes of the i-th curve: no two of 28 are the same."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[(i // len(COLOURS)) % len(DASHES)]}


def mark(i: int) -> str:
    """Return the marker of the i-th set of points: with the colour of `look` no two of 56 are the same."""
    return MARKERS[i % len(MARKERS)]


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Put the legend of an axes below the figure, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=10, frameon=False)


def logarithmic(axes: Axes, which: str = "y") -> None:
    """Make an axis logarithmic, after the curves are drawn: with 1, 2, 5 where there are few decades.

    Where nothing drawn is above 0 it stays as it is.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    axis = getattr(axes, f"{which}axis")
    if not np.isfinite(axis.get_minpos()):
        return
    getattr(axes, f"set_{which}scale")("log")
    low, high = axis.get_view_interval()
    if low > 0 and high / low < 1e3:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def paragraphs(*texts: str) -> str:
    """Return texts with lines of at most 110 letters; a table, which has lines already, stays as it is."""
    return "\n".join(text if "\n" in text else fill(text, 110) for text in texts)


def gap_text(gap: float) -> str:
    """Return a disagreement: ``"0"``, ``"3e-16"``."""
    return "0" if gap == 0 else f"{gap:.0e}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of texts in aligned columns, the first to the left and the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def listed(names: Sequence[str]) -> str:
    """Return ``"a, b and c"``; ``"none"`` of nothing."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def complex_text(value: complex) -> str:
    """Return ``"-0.15000 ± 0.47697i"`` for one of a pair, ``"-0.15000"`` for a real number, to the digits shown."""
    real, turning = decimals(value.real, 5, "+"), decimals(abs(value.imag), 5)
    return f"{real} ± {turning}i" if float(turning) else real


def decimals(value: float, digits: int, sign: str = "") -> str:
    """Return a number with so many decimals and no minus before a zero; from 100,000 on with three digits."""
    if not abs(value) < 1e5:
        return f"{value:{sign}.2e}"
    return f"{round(float(value), digits) + 0.0:{sign}.{digits}f}"


def pixels(figure: Figure) -> Array:
    """Return a figure as (H, W, 3) uint8, for a film."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    found: Array = np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
    return found
