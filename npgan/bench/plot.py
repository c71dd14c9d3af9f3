"""How many times as fast as each peer: horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from npgan.bench.results import OURS, PEERS, Report, Row, contestants
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), "Color universal design": told apart with any kind of colour vision. One colour a peer, always.
_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#999999")
_BAR = 0.17  # inches
_KINDS = ("png", "svg", "pdf")


def check_path(path: Path) -> None:
    """Raise ConfigError where a plot cannot have that name."""
    if path.suffix.lower().lstrip(".") not in _KINDS:
        raise ConfigError(f"the plot is to be {path.name}, expected a name that ends in .png, .svg or .pdf")


def speedup_plot(report: Report, path: Path) -> None:
    """Draw a bar for each row and peer: its median divided by npgan's, on a logarithmic axis with 1 in bold.

    Parameters
    ----------
    report : Report
    path : Path
        Ends in ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    ConfigError
        Another ending, or there is no row with a peer.
    CheckpointError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    from npgan.training.folder import write_atomically

    check_path(path)
    rows = [row for row in report.rows if OURS in row.samples and len(row.samples) > 1]
    if not rows:
        raise ConfigError("there is nothing to draw: no row has a peer (all were left out, or --no-peers)")
    places = list(dict.fromkeys((row.suite, row.group) for row in rows))
    parts = [[row for row in rows if (row.suite, row.group) == place] for place in places]
    heights = [sum(len(row.samples) - 1 for row in part) + 0.6 * len(part) + 2.5 for part in parts]
    figure = Figure(figsize=(9, _BAR * sum(heights) + 1.2), dpi=120, layout="constrained")
    panels = figure.subplots(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    names = [name for name in contestants(rows) if name != OURS]
    colors = {name: _COLORS[list(PEERS).index(name)] for name in names}
    ratios = [row.ratio(name) or 1.0 for row in rows for name in names]
    low, high = min([*ratios, 0.9]), max([*ratios, 2.0])
    room = (high / low) ** 0.12  # for the numbers at the ends of bars
    limits = low / room, high * room
    for axes, part in zip(panels, parts, strict=True):
        _panel(axes, part, colors, limits)
    handles = [panels[0].barh([0], [0], color=colors[name], label=PEERS[name]) for name in names]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(names)), frameon=False, fontsize=10)
    machine = report.about.get("machine", {})
    figure.supxlabel(
        f"Right of 1x npgan is ahead. {machine.get('cpu', '')}, {report.about.get('threads', '?')} threads, float32; "
        f"npgan {report.about.get('npgan', '')}; ratios of medians",
        fontsize=9,
        color="#555555",
    )
    kind = path.suffix.lower().lstrip(".")
    file = BytesIO()
    figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_atomically(path, file.getvalue())


def _panel(axes: Axes, rows: Sequence[Row], colors: dict[str, str], limits: tuple[float, float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    place, ticks = 0.0, []
    for row in rows:
        top = place
        for name in (name for name in colors if name in row.samples):
            ratio = row.ratio(name)
            assert ratio is not None
            axes.barh(place, ratio - 1.0, left=1.0, height=0.9, color=colors[name])
            side, offset = ("left", 3) if ratio >= 1 else ("right", -3)
            axes.annotate(
                f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x" if ratio >= 1.95 else f"{ratio:.2f}x",
                (ratio, place),
                (offset, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=8,
            )
            place += 1.0
        ticks.append((top + place - 1.0) / 2)
        place += 0.6
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    wide = limits[1] / limits[0] > 1000  # then a label for each decade, or they run into each other
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1.0, color="#000000", linewidth=1.2)
    axes.set_yticks(ticks, [row.name for row in rows], fontsize=9)
    axes.set_ylim(place - 0.6, -1.0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    unit = "memory" if rows[0].unit == "bytes" else "time"
    where = ", ".join(filter(None, (rows[0].suite, rows[0].group)))
    axes.set_title(f"{where}: {unit} of others / {unit} of npgan", fontsize=10, loc="left")
