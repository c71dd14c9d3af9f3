"""The figures of the study of landscapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.study.studies.drawing import (
    BLACK,
    GREY,
    RED,
    SEQUENTIAL,
    legend_below,
    logarithmic,
    look,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_landscape(found: Any) -> dict[str, Figure]:
    """Return the figures: the slices of both losses, and the path angles."""
    from matplotlib.colors import BoundaryNorm

    title = "Slices of both losses, colours by rank; arrows: where the players go; orange: the run"
    figure = new_figure(4.6 * len(found.slices), 8.4, title)
    rows = figure.subplots(2, len(found.slices), squeeze=False)
    for k, each in enumerate(found.slices):
        for axes, values, player in ((rows[0, k], each.loss_d, "D"), (rows[1, k], each.loss_g, "G")):
            # Levels are quantiles, as a few corners would else take all the colours; the bar has their values.
            levels = np.unique(np.quantile(values, np.linspace(0, 1, 16)))
            levels = levels if len(levels) > 1 else levels[0] + np.array([0.0, 1e-12])
            norm = BoundaryNorm(levels, 256)
            filled = axes.contourf(*each.axes, values.T, levels=levels, cmap=SEQUENTIAL, norm=norm)
            bar = figure.colorbar(filled, ax=axes, ticks=levels[:: max(1, len(levels) // 5)], format="%.4g")
            bar.ax.tick_params(labelsize=9)
            bar.set_label(f"loss of {player}", fontsize=10)
            lengths = np.linalg.norm(each.arrows, axis=2)
            unit = each.arrows / np.where(lengths > 0, lengths, 1.0)[..., None]
            a, b = np.meshgrid(*each.coarse, indexing="ij")
            axes.quiver(a, b, unit[..., 0], unit[..., 1], color="white", scale=24, width=0.005, pivot="mid")
            axes.plot(each.path[:, 0], each.path[:, 1], color=RED, linewidth=1.6)
            axes.plot(0, 0, "o", color=RED, markeredgecolor=BLACK, markersize=9, clip_on=False)
            axes.locator_params(nbins=5)
            axes.set_xlim(each.axes[0][0], each.axes[0][-1])
            axes.set_ylim(each.axes[1][0], each.axes[1][-1])
            x, y = (
                f"{word} direction, weights (D's part {part:.0%})"
                for word, part in zip(("first", "second"), each.part_d, strict=True)
            )
            styled(axes, f"loss of {player}: {each.name}", x, y, grid=False)
    lines = new_figure(14, 5.2, f"The field on the line from a checkpoint (0) to step {found.steps[-1]:,} (1)")
    together, players, norm_axes = lines.subplots(1, 3)
    for i, one in enumerate(found.angles):
        together.plot(one.along, one.cosine, linewidth=2, label=f"from step {one.step:,}", **look(i))
        norm_axes.plot(one.along, one.norm, linewidth=2, **look(i))
        for k, dash in enumerate(("-", "--")):
            players.plot(one.along, one.players[k], linewidth=2, color=look(i)["color"], linestyle=dash)
    top = min(1.05, 1.2 * max(float(np.abs([one.cosine, *one.players]).max()) for one in found.angles))
    for axes in (together, players):
        axes.axhline(0, color=GREY, linewidth=1)
        axes.set_ylim(-top, top)
    for axes in (together, players, norm_axes):
        axes.axvline(1, color=GREY, linewidth=1)
        axes.set_xticks([-0.5, 0, 0.5, 1, 1.5])
    logarithmic(norm_axes)
    styled(together, "Path angle", "part of the way", "cosine between -v and the line")
    styled(players, "Each player's (D: solid, G: dashed)", "part of the way", "cosine between -v and the line")
    styled(norm_axes, "How strong the field is", "part of the way", "|v|")
    legend_below(lines, together, 4)
    return {"slices": figure, "path": lines}
