"""The figures of the study of saturation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.study.studies.drawing import GREY, legend_below, logarithmic, look, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_saturation(found: Any) -> dict[str, Figure]:
    """Return the figures: the losses on paper and in the run, and the layers."""
    figure = new_figure(14, 5.6, "What reaches G when D is ahead")
    paper, run, passed = figure.subplots(1, 3)
    for k, name in enumerate(found.losses):
        dots = {"linewidth": 2, "marker": "o", "markersize": 4, **_style(k)}
        paper.plot(1 / (1 + np.exp(found.logits)), found.slopes[k], label=name, linewidth=2, **_style(k))
        run.plot(found.steps, found.relative[k], **dots)
        passed.plot(found.confidence, found.passed[k], **dots)
    paper.set_ylim(-0.05, 2.55)
    styled(
        paper,
        "On paper",
        "confidence that it is generated (0: D is fooled, 1: D is sure)",
        "|slope of G's loss| by the logit",
    )
    run.set_xscale("symlog", linthresh=1)
    marks = [(run, found.vanishing, "vanishing"), (run, found.exploding, "exploding")]
    for axes, level, word in [*marks, (passed, found.vanishing, "saturated")]:
        axes.axhline(level, color=GREY, linewidth=1)
        side = "bottom" if word == "exploding" else "top"
        axes.annotate(word, (0.02, level), xycoords=("axes fraction", "data"), fontsize=10, color=GREY, va=side)
    logarithmic(run)
    run.set_xlim(0, found.steps[-1] * 1.1)
    styled(run, "The gradient in a run", "steps of D alone", "norm of G's gradient, by that at first")
    logarithmic(passed)
    styled(
        passed, "The loss's part in it", "D's mean confidence in generated samples", "norm, by that of -D's gradient"
    )
    legend_below(figure, paper, 5)
    width = 3.3 * len(found.losses)
    layers = new_figure(width, 4.4, "Gradient a weight in each layer of G (root mean square)")
    axes = layers.subplots(1, len(found.losses), sharey=True, squeeze=False)[0]
    for k, (each, name) in enumerate(zip(axes, found.losses, strict=True)):
        for w, layer in enumerate(found.layers):
            each.plot(found.steps, found.layer_norms[k, :, w], label=f"layer {layer}", linewidth=2, **look(w))
        each.set_xscale("symlog", linthresh=1)
        each.set_yscale("log")
        each.set_xlim(0, found.steps[-1] * 1.1)
        styled(each, name, "steps of D alone", "gradient" if k == 0 else "")
    legend_below(layers, axes[0], 4)
    return {"losses": figure, "layers": layers}


def _style(k: int) -> dict[str, object]:
    style = look(k)
    style["linestyle"] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))[k % 5]  # hinge lies on wasserstein
    return style
