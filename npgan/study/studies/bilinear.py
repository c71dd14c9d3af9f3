"""The bilinear game x·y: nothing but rotation, so that a rule's own damping is all there is.

Its Jacobian is J = [[0, -1], [1, 0]] with D's y first; the eigenvalues of -J are ±i. Goodfellow (2016), "NIPS 2016
tutorial", section 8.2; Gidel et al. (2019), "A variational inequality perspective on GANs", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ConvergenceError, NonFiniteError, SecondOrderError
from npgan.game import bilinear_game, get_rule
from npgan.options import number, whole
from npgan.study.spectrum import flow_spectrum, map_spectrum
from npgan.study.studies.closed import distance, on_paper
from npgan.study.studies.drawing import (
    GREY,
    gap_text,
    legend_below,
    look,
    new_figure,
    panels,
    paragraphs,
    styled,
)
from npgan.study.studies.smallest import (
    PATHS,
    Tried,
    draw_distances,
    draw_field,
    draw_multipliers,
    draw_path,
    field_on,
    rule_table,
    rules_of,
    states_text,
    title_of,
    try_rule,
)
from npgan.study.studies.study import Study
from npgan.study.studies.texts import rule_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

J = np.array([[0.0, -1.0], [1.0, 0.0]])


@dataclass(frozen=True)
class BilinearStudy:
    """What `bilinear` found.

    Attributes
    ----------
    lr : float
    flow : complex array (2,)
        Eigenvalues of -J.
    flow_disagreement : float
        From ±i.
    axis : array (n,)
    field : array (n, n, 2)
        -v over the grid, with D's y as the first index.
    tried : list of Tried
    rates : array (k,)
        Step sizes that were scanned.
    radii, formulas : dict of str to array (k,)
        Spectral radius of each rule at each of them: computed, and on paper, where there is a formula.
    """

    lr: float
    flow: Array
    flow_disagreement: float
    axis: Array
    field: Array
    tried: list[Tried]
    rates: Array
    radii: dict[str, Array]
    formulas: dict[str, Array]


def bilinear(
    *,
    lr: float = 0.2,
    rules: Sequence[str] = ("all",),
    steps: int = 150,
    start_d: float = 0.0,
    start_g: float = 1.0,
    grid: int = 17,
    extent: float = 2.0,
    rates: int = 25,
) -> BilinearStudy:
    """Run every rule on x·y, and compare the eigenvalues of its step with the closed form.

    Parameters
    ----------
    lr : float
        Of both players.
    rules : sequence of str
        ``("all",)`` is every one there is; others may have options, as in ``"consensus gamma=0.5"``.
    steps : int
    start_d, start_g : float
        y and x, where the trajectories begin.
    grid, extent : int, float
        Points a side of the field, and how far it reaches.
    rates : int
        Step sizes from 0.01 to 1 at which radii are looked at.

    Raises
    ------
    ConfigError
        A setting makes no sense.
    """
    names, lr = rules_of(rules), number("lr", lr, above=0)
    axis = np.linspace(-1, 1, whole("grid", grid, least=2)) * number("extent", extent, above=0)
    if not (start_d or start_g):
        raise ConfigError("start_d and start_g are both 0, the equilibrium itself: nothing would move")
    flow = flow_spectrum(bilinear_game(1.0)).values
    steps = whole("steps", steps, least=1)
    tried = [try_rule(name, bilinear_game(1.0), "", J, (start_d, start_g), lr, steps) for name in names]
    scanned = np.geomspace(0.01, 1.0, whole("rates", rates, least=2))
    radii, formulas = {}, {}
    for each in tried:
        if each.problem:
            continue
        try:
            pairs = [_radius(each.rule, float(rate)) for rate in scanned]
        except (ConfigError, SecondOrderError, ConvergenceError, NonFiniteError):
            continue  # some rates may not suit a rule that suits `lr`
        radii[each.rule] = np.array([pair[0] for pair in pairs])
        if not np.isnan(pairs[0][1]):
            formulas[each.rule] = np.array([pair[1] for pair in pairs])
    gap = distance(np.array([1j, -1j]), flow)
    return BilinearStudy(lr, flow, gap, axis, field_on(bilinear_game(1.0), axis), tried, scanned, radii, formulas)


def _radius(text: str, lr: float) -> tuple[float, float]:
    """Return a rule's spectral radius, and the formula's or NaN."""
    game = bilinear_game(1.0)
    name, options = rule_of(text)
    rule = get_rule(name, game, lr=lr, **options)
    computed = float(np.abs(map_spectrum(rule, game).values).max())
    formula = on_paper(rule, J, (1, 1))
    return computed, float("nan") if formula is None else float(np.abs(formula).max())


def tell(found: BilinearStudy) -> str:
    """Return what is seen, in words with numbers."""
    shown = [each for each in found.tried if not each.problem]
    lines = [
        f"The bilinear game: G makes x·y small, D makes it large. The eigenvalues of -J are "
        f"±{abs(found.flow[0]):.6f}i, {gap_text(found.flow_disagreement)} from ±i: the flow goes round for ever.",
        f"Rules with step size {found.lr:g}:",
        "",
        rule_table(found.tried),
        "",
    ]
    lines += states_text(shown, "With this step")
    inward = [each for each in shown if each.radius < 1 - 1e-9]
    if inward:
        best = min(inward, key=lambda each: each.radius ** (1 / each.evaluations))
        cost = np.log(0.1) / np.log(best.radius) * best.evaluations
        lines.append(f"The quickest for its cost is {best.rule}: a tenth of the distance after {cost:.0f} gradients.")
    for name, radii in found.radii.items():
        i = int(np.argmin(radii))
        if radii[i] < 1 - 1e-9:
            beyond = found.rates[radii > 1 + 1e-9]
            limit = f", and goes out from {beyond[0]:.2g} on" if len(beyond) else ""
            lines.append(f"{name} is quickest with a step of {found.rates[i]:.2g} (radius {radii[i]:.4f}){limit}.")
    if found.formulas:
        gap = max(float(np.abs(found.formulas[name] - found.radii[name]).max()) for name in found.formulas)
        lines.append(f"Over all step sizes scanned, radius and formula differ by {gap_text(gap)} at most.")
    return paragraphs(*lines)


def draw(found: BilinearStudy) -> dict[str, Figure]:
    """Return the figures: trajectories, and eigenvalues with radii."""
    shown = [each for each in found.tried if not each.problem]
    columns = max(1, min(5, len(shown)))
    paths = new_figure(
        3.2 * max(2, columns),
        3.5 * max(1, -(-len(shown) // columns)),
        f"The game x·y, update rules with step {found.lr:g}; {PATHS}",
    )
    for i, (axes, each) in enumerate(zip(panels(paths, len(shown), columns), shown, strict=True)):
        draw_field(axes, found.axis, found.field, ("y, of D", "x, of G"))
        draw_path(axes, each.trajectory, i, each.average)
        axes.set_title(title_of(each), fontsize=12)
    figure = new_figure(14, 6, "The game x·y: what the linearisation says, and what happens")
    step, scan, far = figure.subplots(1, 3)
    draw_multipliers(step, shown)
    for i, each in enumerate(shown):
        if each.rule in found.radii:
            scan.plot(found.rates, found.radii[each.rule], **look(i))
        if each.rule in found.formulas:
            scan.plot(found.rates[::3], found.formulas[each.rule][::3], "o", color=look(i)["color"], fillstyle="none")
    scan.axhline(1, color=GREY, linewidth=1.2)
    scan.set_xscale("log")
    top = max([1.1, *(float(radii.min()) for radii in found.radii.values())])
    scan.set_ylim(min([0.9, *(float(radii.min()) for radii in found.radii.values())]) - 0.02, top + 0.1)
    styled(scan, "Radius by step size (rings: on paper)", "step size", "spectral radius of a step")
    draw_distances(far, shown)
    legend_below(figure, far, 5)
    return {"trajectories": paths, "eigenvalues": figure}


BILINEAR = Study("bilinear", "x·y, pure rotation: what each rule's step makes of it", bilinear, tell, draw, 5)
