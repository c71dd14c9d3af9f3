"""The Dirac-GAN: every loss, penalty and rule on the smallest GAN there is, beside its closed form.

Mescheder, Geiger and Nowozin (2018), "Which training methods for GANs do actually converge?", section 2 and table 1:
the data are the point 0, G puts a point at θ, D(x) = ψ x. At (0, 0), with f(t) = -softplus(-t), the Jacobian is

    J = [[c, f'], [-f', 0]],    f' = ½ (Wasserstein: 1),    c = γ with R1, σ²/2 with instance noise of deviation σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game import BatchGame, dirac_gan
from npgan.options import number, whole
from npgan.penalties import get_penalty
from npgan.study.spectrum import flow_spectrum
from npgan.study.studies.closed import distance
from npgan.study.studies.drawing import (
    GREY,
    complex_text,
    gap_text,
    legend_below,
    listed,
    look,
    mark,
    new_figure,
    panels,
    paragraphs,
    styled,
    table,
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Method:
    """One way of training the Dirac-GAN.

    Attributes
    ----------
    name : str
    computed, formula : complex array (2,)
        Eigenvalues of -J at (0, 0): through networks and R-maps, and on paper. A kinked penalty has none on paper.
    disagreement : float
        Of the eigenvalues, or, where the matrix is defective, of trace and determinant.
    trace, determinant : float
        Of -J as computed.
    defective : bool
    field : array (n, n, 2)
        -v over the grid.
    trajectory : array (steps + 1, 2)
        Of ψ and θ, by `rule`.
    end : float
        Distance from the equilibrium at its end, relative to the start.
    """

    name: str
    computed: Array
    formula: Array | None
    disagreement: float
    trace: float
    determinant: float
    defective: bool
    field: Array
    trajectory: Array
    end: float


@dataclass(frozen=True)
class DiracStudy:
    """What `dirac` found.

    Attributes
    ----------
    lr : float
    rule : str
        That made the methods' trajectories.
    axis : array (n,)
        Of the grid, for ψ and for θ.
    methods : list of Method
    tried : list of Tried
        Every rule on the minimax game, plain and with R1.
    """

    lr: float
    rule: str
    axis: Array
    methods: list[Method]
    tried: list[Tried]


def dirac(
    *,
    lr: float = 0.2,
    gammas: Sequence[float] = (0.3, 1.0),
    sigma: float = 0.7,
    rules: Sequence[str] = ("all",),
    rule: str = "simultaneous",
    steps: int = 250,
    start_d: float = 0.0,
    start_g: float = 1.0,
    grid: int = 17,
    extent: float = 2.0,
    backend: str = "cpu",
) -> DiracStudy:
    """Train the Dirac-GAN in every way, and compare its linearisation with the closed forms.

    Parameters
    ----------
    lr : float
        Of both players.
    gammas : sequence of float
        Strengths of R1; the first is also the other penalties', and the one with which the rules are tried.
    sigma : float
        Deviation of the instance noise.
    rules : sequence of str
        To be tried; ``("all",)`` is every one there is.
    rule : str
        The one that shows the methods.
    steps : int
        Of a trajectory.
    start_d, start_g : float
        ψ and θ, where the trajectories begin.
    grid, extent : int, float
        Points a side of the field, and how far it reaches.
    backend : str
        Where the networks are: ``"cpu"``, ``"gpu"``.

    Raises
    ------
    ConfigError
        A setting makes no sense.
    """
    names, lr = rules_of(rules), number("lr", lr, above=0)
    rules_of([rule])
    axis = np.linspace(-1, 1, whole("grid", grid, least=2)) * number("extent", extent, above=0)
    steps, start = whole("steps", steps, least=1), (start_d, start_g)
    if not any(start):
        raise ConfigError("start_d and start_g are both 0, the equilibrium itself: nothing would move")
    strengths = [number("gammas", gamma, least=0) for gamma in gammas]
    if not strengths:
        raise ConfigError("gammas is empty, expected strengths of the penalty, such as 0.3, 1.0")
    games = _games(strengths, number("sigma", sigma, above=0), backend)
    methods = [_method(*each, axis, rule, lr, steps, start) for each in games]
    tried = []
    for on, gamma in (("no penalty", 0.0), (f"R1 γ = {strengths[0]:g}", strengths[0])):
        penalties = [get_penalty("r1", gamma=gamma)] if gamma else []
        J = _jacobian(gamma)
        for name in names:
            game = dirac_gan("minimax", penalties=penalties, backend=backend)
            tried.append(try_rule(name, game, on, J, start, lr, steps))
    return DiracStudy(lr, rule, axis, methods, tried)


def _games(gammas: Sequence[float], sigma: float, backend: str) -> list[tuple[str, BatchGame, Array | None]]:
    """Return each method's name, game and Jacobian on paper."""
    make = partial(dirac_gan, backend=backend)
    found: list[tuple[str, BatchGame, Array | None]] = [
        ("minimax", make("minimax"), _jacobian()),
        ("non-saturating", make("non-saturating"), _jacobian()),
        ("Wasserstein", make("wasserstein"), _jacobian(slope=1.0)),
    ]
    found += [
        (f"R1 γ = {gamma:g}", make(penalties=[get_penalty("r1", gamma=gamma)]), _jacobian(gamma)) for gamma in gammas
    ]
    for label, name in (("R2", "r2"), ("zero-centred", "zero-centred")):
        penalty = get_penalty(name, gamma=gammas[0])
        found.append((f"{label} γ = {gammas[0]:g}", make(penalties=[penalty]), _jacobian(gammas[0])))
    found.append((f"noise σ = {sigma:g}", make(noise=sigma), _jacobian(sigma**2 / 2)))
    found.append(("Wasserstein, WGAN-GP", make("wasserstein", penalties=[get_penalty("wgan-gp", weight=1.0)]), None))
    return found


def _jacobian(c: float = 0.0, slope: float = 0.5) -> Array:
    return np.array([[c, slope], [-slope, 0.0]])


def _method(
    name: str,
    game: BatchGame,
    J: Array | None,
    axis: Array,
    rule: str,
    lr: float,
    steps: int,
    start: tuple[float, float],
) -> Method:
    found = flow_spectrum(game).eigen
    formula, gap = None, float("nan")
    if J is not None:
        formula = np.linalg.eigvals(-J)
        gap = distance(formula, found.values)
        if found.defective:  # an error of rounding moves its eigenvalues by 1e-8, but not these
            gap = max(abs(found.trace + float(np.trace(J))), abs(found.determinant - float(np.linalg.det(J))))
    path = try_rule(rule, game, name, np.eye(2) if J is None else J, start, lr, steps).trajectory
    end = float(np.hypot(*path[-1]) / np.hypot(*path[0])) if len(path) else float("nan")
    field = field_on(game, axis)
    return Method(name, found.values, formula, gap, found.trace, found.determinant, found.defective, field, path, end)


def tell(found: DiracStudy) -> str:
    """Return what is seen, in words with numbers."""
    rows = []
    for each in found.methods:
        pair = complex_text(complex(each.computed[0]))
        paper = "not differentiable" if each.formula is None else complex_text(complex(each.formula[0]))
        gap = "-" if each.formula is None else gap_text(each.disagreement) + (" *" if each.defective else "")
        rows.append([each.name, pair, paper, gap, f"{each.end:.3g}"])
    worst = max(each.disagreement for each in found.methods if each.formula is not None)
    header = ["method", "eigenvalues of -J", "on paper", "difference", "distance at the end / at the start"]
    lines = [
        "The Dirac-GAN: G puts a point at θ, the data are 0, D(x) = ψ x. Eigenvalues at (0, 0), through networks and "
        "products with their Jacobian, beside the closed forms:",
        "",
        table(header, rows),
    ]
    if any(each.defective for each in found.methods):
        lines.append("* a defective matrix: the difference is that of trace and determinant.")
    still = [m.name for m in found.methods if m.formula is not None and abs(m.computed.real).max() < 1e-9]
    inward = [m.name for m in found.methods if m.formula is not None and m.computed.real.max() <= -1e-9]
    lines += [
        "",
        f"The largest difference is {gap_text(worst)}. Near the equilibrium the flow only turns with {listed(still)}; "
        f"it is pulled in with {listed(inward)}.",
    ]
    for each in found.methods:
        if each.formula is None and each.end > 0.05:
            lines.append(
                f"{each.name} is not differentiable at the equilibrium, and the run ends {each.end:.2g} times as far "
                "away as it began: it does not come back."
            )
    lines += ["", f"Rules with step size {found.lr:g}, on the minimax game:", "", rule_table(found.tried), ""]
    plain = [each for each in found.tried if each.on == "no penalty" and not each.problem]
    lines += states_text(plain, "Without a penalty")
    return paragraphs(*lines)


def draw(found: DiracStudy) -> dict[str, Figure]:
    """Return the figures: trajectories of methods, of rules, and eigenvalues."""
    names = ("ψ, the slope of D", "θ, where G puts its point")
    count = len(found.methods)
    methods = new_figure(16, 3.5 * -(-count // 5), f"Dirac-GAN, {found.rule} descent, step {found.lr:g}; {PATHS}")
    for i, (axes, each) in enumerate(zip(panels(methods, count, 5), found.methods, strict=True)):
        draw_field(axes, found.axis, each.field, names)
        draw_path(axes, each.trajectory, i)
        axes.set_title(each.name, fontsize=12)
    shown = [each for each in found.tried if each.on == "no penalty" and not each.problem]
    columns = max(1, min(5, len(shown)))
    title = f"Dirac-GAN, minimax, update rules with step {found.lr:g}; {PATHS}"
    rules = new_figure(3.2 * max(2, columns), 3.5 * max(1, -(-len(shown) // columns)), title)
    for i, (axes, one) in enumerate(zip(panels(rules, len(shown), columns), shown, strict=True)):
        draw_field(axes, found.axis, found.methods[0].field, names)
        draw_path(axes, one.trajectory, i, one.average)
        axes.set_title(title_of(one), fontsize=12)
    figure = new_figure(14, 6.4, "Dirac-GAN: what the linearisation says, and what happens")
    flow, step, far = figure.subplots(1, 3)
    for i, each in enumerate(found.methods):
        flow.plot(
            *(each.computed.real, each.computed.imag, mark(i)), color=look(i)["color"], label=each.name, markersize=7
        )
        if each.formula is not None:
            ring = {"markersize": 14, "markerfacecolor": "none"}
            flow.plot(each.formula.real, each.formula.imag, "o", color=look(i)["color"], **ring)
    flow.axvline(0, color=GREY, linewidth=1.2)
    bottom, top = flow.get_ylim()
    flow.set_ylim(bottom, top + 0.45 * (top - bottom))  # room for the legend
    styled(flow, "Eigenvalues of -J (rings: on paper)", "real part (growth)", "imaginary part (turning)")
    flow.legend(fontsize=9, loc="upper left", ncols=2)
    draw_multipliers(step, shown)
    draw_distances(far, shown)
    legend_below(figure, far, 5)
    return {"methods": methods, "rules": rules, "eigenvalues": figure}


DIRAC = Study("dirac", "the smallest GAN: every loss, penalty and rule beside its closed form", dirac, tell, draw, 10)
