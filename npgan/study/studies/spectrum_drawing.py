"""The figures of the study of spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array
from npgan.study.studies.drawing import BLUE, GREY, RED, legend_below, look, new_figure, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = (-10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0)  # of the flow, on axes that are linear below 0.01


def draw_spectrum(found: Any) -> dict[str, Figure]:
    """Return the figures: eigenvalues in the plane, and what they say along the run."""
    chosen = np.unique(np.rint(np.linspace(0, len(found.checkpoints) - 1, 4)).astype(int))
    return {
        "flow": _clouds(found, chosen, flow=True),
        "steps": _clouds(found, chosen, flow=False),
        "run": _run(found),
    }


def _clouds(found: Any, chosen: Array, *, flow: bool) -> Figure:
    what = "Eigenvalues of -J, the flow" if flow else f"Multipliers of a step: {found.rule}, {found.optimizer}"
    figure = new_figure(3.8 * len(chosen) + 0.6, 4.4, what)
    shared = {"sharex": True, "sharey": True} if flow else {}
    for axes, i in zip(panels(figure, len(chosen), len(chosen), **shared), chosen, strict=True):
        each = found.checkpoints[i]
        values = each.flow if flow else each.multipliers
        if flow:
            dots = axes.scatter(values.real, values.imag, c=each.flow_d, cmap="cividis", vmin=0, vmax=1, s=22)
            axes.set_xscale("symlog", linthresh=1e-2)
            axes.set_yscale("symlog", linthresh=1e-2)
            axes.set_xticks(_TICKS)
            axes.set_yticks(_TICKS)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:g}")
            axes.axvline(0, color=GREY, linewidth=1.2)
            styled(
                axes, f"step {each.step:,}", "real part (growth)", "imaginary part (turning)" if i == chosen[0] else ""
            )
        else:
            angle = np.linspace(0, 2 * np.pi, 721)
            axes.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=1.2)
            out = np.abs(values) > 1 + 1e-6
            axes.plot(values.real[~out], values.imag[~out], "o", color=BLUE, markersize=4, label="inside: dies out")
            axes.plot(values.real[out], values.imag[out], "D", color=RED, markersize=5, label="outside: grows")
            axes.set_aspect("equal", adjustable="datalim")
            styled(axes, f"step {each.step:,}", "real part", "imaginary part" if i == chosen[0] else "")
    if flow:
        bar = figure.colorbar(dots, ax=figure.axes, shrink=0.85)
        bar.set_label("D's share in the mode", fontsize=11)
    else:
        legend_below(figure, figure.axes[0], 2)
    return figure


def _run(found: Any) -> Figure:
    figure = new_figure(14, 5.4, "What the spectrum says along the run")
    radius, turning, state = figure.subplots(1, 3)
    steps = [each.step for each in found.checkpoints]
    line = {"linewidth": 2, "marker": "o"}
    for k, (what, label) in enumerate(
        (
            ("foretold", "foretold for a step"),
            ("measured", "measured in a step"),
            ("later", f"over {found.ahead} steps"),
        )
    ):
        marker = {"marker": "oDs"[k], "markersize": 10 - 2 * k, "fillstyle": "none" if k == 0 else "full"}
        values = [getattr(each, what) - 1 for each in found.checkpoints]
        radius.plot(
            steps, values, label=label, linewidth=2, color=look(k)["color"], linestyle="-" if k else ":", **marker
        )
    radius.axhline(0, color=GREY, linewidth=1.2)
    radius.set_yscale("symlog", linthresh=1e-2)  # both signs, and thousandths beside a factor of seven
    seen = [getattr(each, what) - 1 for each in found.checkpoints for what in ("foretold", "measured", "later")]
    radius.set_ylim(1.6 * min(-0.005, *seen), 1.6 * max(0.005, *seen))
    radius.legend(fontsize=10)
    styled(radius, "Growth of a distance", "step", "growth a step (factor - 1)")
    turning.plot(steps, [each.flow.real.max() for each in found.checkpoints], label="fastest growth", **line, **look(0))
    turning.plot(
        steps, [np.abs(each.flow.imag).max() for each in found.checkpoints], label="fastest turn", **line, **look(1)
    )
    turning.plot(steps, [-each.flow.real.min() for each in found.checkpoints], label="fastest decay", **line, **look(2))
    turning.set_yscale("symlog", linthresh=1e-2)
    turning.set_ylim(top=6 * turning.get_ylim()[1])
    turning.legend(fontsize=10, loc="upper center")
    styled(turning, "The flow", "step", "rate (1 / time)")
    state.plot(steps, [each.potential for each in found.checkpoints], label="symmetric share of J", **line, **look(0))
    state.plot(steps, [each.leading_d for each in found.checkpoints], label="D's part in what leads", **line, **look(1))
    state.plot(steps, [each.high for each in found.checkpoints], label="samples of high quality", **line, **look(2))
    state.set_ylim(-0.02, 1.38)
    state.set_yticks([0, 0.25, 0.5, 0.75, 1])
    state.legend(fontsize=10, loc="upper center")
    styled(state, "Who turns, and how good it is", "step", "share")
    return figure
