"""What the two smallest games share: rules tried on a game of one weight a player, its field, and their drawing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ConvergenceError, NonFiniteError, SecondOrderError
from npgan.game import RULES, DifferentiableGame, Rule, get_rule
from npgan.study.spectrum import map_spectrum
from npgan.study.studies.closed import distance, on_paper
from npgan.study.studies.drawing import (
    BLACK,
    GREY,
    RED,
    complex_text,
    decimals,
    gap_text,
    listed,
    logarithmic,
    look,
    mark,
    styled,
    table,
)
from npgan.study.studies.texts import rule_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATHS = "from the dot to the square"
_FAR = 4.0  # a trajectory is cut where it is so many times as far away as where it began


@dataclass(frozen=True)
class Tried:
    """One rule on one game.

    Attributes
    ----------
    rule, on : str
        The rule, with its options if any were given, and what it plays.
    trajectory : array (steps + 1, 2)
        D's weight and G's, cut where it leaves the picture.
    average : array (steps + 1, 2)
        The mean of the iterates at the same steps, of a rule that keeps one; (0, 2) of the others.
    evaluations : float
        Of the whole field, in a step.
    multipliers : complex array (S,)
        Eigenvalues of its update map at the equilibrium, through products with the game's Jacobian.
    radius, period : float
        Of the leading one: what a distance is multiplied with in a step, and steps of a turn.
    formula : complex array or None
        The same on paper.
    disagreement : float
        Between the two; NaN without a formula.
    problem : str
        Why there is nothing else here; empty where there is.
    """

    rule: str
    on: str
    trajectory: Array
    average: Array
    evaluations: float
    multipliers: Array
    radius: float
    period: float
    formula: Array | None
    disagreement: float
    problem: str = ""

    @property
    def kept(self) -> Array:
        """What the rule gives: the mean where it keeps one, else the iterates."""
        return self.average if len(self.average) else self.trajectory


def rules_of(names: Sequence[str]) -> list[str]:
    """Return the rules that were asked for, as `rule_of` reads them; ``("all",)`` is all that there are."""
    if tuple(names) == ("all",):
        return list(RULES)
    for name in names:
        rule_of(name)
    if not names:
        raise ConfigError(f'rules is empty, expected "all", or some of {", ".join(RULES)}')
    return list(names)


def try_rule(
    text: str, game: DifferentiableGame, on: str, J: Array, start: tuple[float, float], lr: float, steps: int
) -> Tried:
    """Run a rule from `start`, and look at its update map at (0, 0), where the field is J θ on paper.

    A rule that does not suit the game says why and is listed with that.
    """
    xp = game.backend.xp
    try:
        with np.errstate(all="ignore"):  # what is not finite is found, and named
            game.load(xp.zeros(2))
            name, options = rule_of(text)
            rule = get_rule(name, game, lr=lr, **options)
            spectrum = map_spectrum(rule, game)
            game.load(xp.asarray(start))
            path, average = trajectory(rule, game, steps)
    except (ConfigError, SecondOrderError, ConvergenceError, NonFiniteError) as error:
        nothing = np.zeros(0)
        nowhere = np.zeros((0, 2))
        return Tried(text, on, nowhere, nowhere, np.nan, nothing, np.nan, np.nan, None, np.nan, str(error))
    values = spectrum.values
    formula = on_paper(rule, J, (1, 1))
    gap = float("nan") if formula is None else distance(formula, values)
    leading = int(np.argmax(np.abs(values)))
    period = float(spectrum.periods[leading])
    return Tried(text, on, path, average, rule.evaluations, values, float(abs(values[leading])), period, formula, gap)


def trajectory(rule: Rule, game: DifferentiableGame, steps: int) -> tuple[Array, Array]:
    """Return the weights before each step and after the last, until they are far away, and the rule's mean of them."""
    path = [game.backend.to_host(game.theta)]
    means = [path[0]]
    far = _FAR * float(np.hypot(*path[0]))
    for _ in range(steps):
        try:
            rule.step(game)
        except NonFiniteError:
            break
        path.append(game.backend.to_host(game.theta))
        if rule.average is not None:
            means.append(game.backend.to_host(rule.average).copy())
        if not np.hypot(*path[-1]) < far:
            break
    return np.array(path), np.array(means) if rule.average is not None else np.zeros((0, 2))


def field_on(game: DifferentiableGame, axis: Array) -> Array:
    """Return -v at every (D's weight, G's weight) of a square grid, (n, n, 2): the first index is D's weight."""
    found = np.empty((len(axis), len(axis), 2))
    for i, d in enumerate(axis):
        for j, g in enumerate(axis):
            game.load(game.backend.asarray(np.array([d, g])))
            found[i, j] = -game.backend.to_host(game.gradient())
    return found


# ---------------------------------------------------------------- telling and drawing


def rule_table(tried: Sequence[Tried]) -> str:
    """Return what the rules do, in rows, with the disagreement of formula and computation."""
    rows = []
    for each in tried:
        if each.problem:
            rows.append([_label(each), "-", "-", "-", "-", each.problem])
            continue
        leading = each.multipliers[int(np.argmax(np.abs(each.multipliers)))]
        rows.append(
            [
                _label(each),
                complex_text(complex(leading)),
                decimals(each.radius, 6),
                f"{each.period:.1f}" if each.period < 1e6 else "none",
                f"{each.evaluations:g}",
                "no formula" if each.formula is None else gap_text(each.disagreement),
            ]
        )
    header = ["rule", "leading multiplier", "radius", "steps a turn", "gradients a step", "off the formula"]
    return table(header, rows)


def _label(each: Tried) -> str:
    return f"{each.rule}, {each.on}" if each.on else each.rule


def _defaults(tried: Sequence[Tried]) -> list[str]:
    """Return a sentence with the numbers that rules have of their own, where they were not given."""
    found = []
    for name in dict.fromkeys(each.rule for each in tried if each.rule in RULES):
        own = inspect.signature(RULES[name]).parameters.values()
        numbers = [f"{each.name} {each.default:g}" for each in own if type(each.default) in (int, float)]
        if numbers:
            found.append(f"{name} {listed(numbers)}")
    return [f"Unless given, rules have these settings: {'; '.join(found)}."] if found else []


def states_text(tried: Sequence[Tried], where: str) -> list[str]:
    """Return the rules' settings, and a sentence for each thing that they do."""
    found = _defaults(tried)
    for state in ("spirals out", "goes round", "spirals in"):
        names = [each.rule for each in tried if not each.problem and state_of(each.radius) == state]
        if names:
            found.append(f"{where} it {state} with {listed(names)}.")
    for each in tried:
        if len(each.average) > 1:
            end = float(np.hypot(*each.average[-1]) / np.hypot(*each.average[0]))
            found.append(f"{each.rule} keeps the mean of the iterates, which ends {end:.2g} times as far away.")
    return found


def state_of(radius: float, slack: float = 1e-9) -> str:
    """Return whether a spectral radius means coming in, going out or going round."""
    return "spirals out" if radius > 1 + slack else "spirals in" if radius < 1 - slack else "goes round"


def title_of(each: Tried) -> str:
    """Return a panel's title: the rule, and what it does."""
    kept = " (dotted: its mean)" if len(each.average) else ""
    return f"{each.rule}:\n{state_of(each.radius)}{kept}"


def draw_field(axes: Axes, axis: Array, field: Array, names: tuple[str, str]) -> None:
    """Draw -v as arrows of one length, with D's weight to the right."""
    length = np.linalg.norm(field, axis=2)
    unit = field / np.where(length > 0, length, 1.0)[..., None]
    d, g = np.meshgrid(axis, axis, indexing="ij")
    axes.quiver(d, g, unit[..., 0], unit[..., 1], color="#BBBBBB", pivot="mid", scale=26, width=0.004)
    axes.plot(0, 0, "+", color=BLACK, markersize=10, markeredgewidth=2, zorder=5)
    axes.set_xlim(axis[0], axis[-1])
    axes.set_ylim(axis[0], axis[-1])
    axes.set_aspect("equal")
    styled(axes, "", *names, grid=False)


def draw_path(axes: Axes, path: Array, i: int, average: Array | None = None) -> None:
    """Draw a trajectory from a dot to a square, and the mean of the iterates, dotted."""
    if not len(path):
        axes.text(0.5, 0.5, "does not suit\nthis game", ha="center", va="center", transform=axes.transAxes)
        return
    colour = look(i)["color"]
    axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1.4)
    axes.plot(*path[0], "o", color=colour, markersize=7)
    axes.plot(*path[-1], "s", color=colour, markersize=7, markerfacecolor="white", markeredgewidth=2)
    if average is not None and len(average):
        axes.plot(average[:, 0], average[:, 1], ":", color=RED, linewidth=2)
        axes.plot(*average[-1], "s", color=RED, markersize=7, markerfacecolor="white", markeredgewidth=2)


def draw_distances(axes: Axes, tried: Sequence[Tried]) -> None:
    """Draw the distance to the equilibrium, of the mean where one is kept, against the gradients that it cost."""
    shown = [each for each in tried if not each.problem]
    ends = [(len(each.kept) - 1) * each.evaluations for each in shown]
    far = min(1.5 * float(np.median(ends)), max(ends)) or 1.0 if ends else 1.0  # dear rules go on beyond the picture
    lowest = []
    for i, each in enumerate(tried):
        if each.problem:
            continue
        length = np.hypot(*each.kept.T)
        spent = np.arange(len(length)) * each.evaluations
        often = max(1, int((spent <= far).sum()) // 5)
        marks: dict[str, Any] = {"marker": mark(i), "markersize": 6, "markevery": often}
        name = f"{each.rule} (its mean)" if len(each.average) else each.rule
        axes.plot(spent, length, label=name, **marks, **look(i))
        lowest.append(float(length[spent <= far].min()))
    axes.set_xlim(0, far)
    logarithmic(axes)
    if lowest and min(lowest) > 0:
        axes.set_ylim(bottom=0.5 * min(lowest))
    styled(axes, "Distance to the equilibrium", "evaluations of the whole gradient", "distance (weights)")


def draw_multipliers(axes: Axes, tried: Sequence[Tried]) -> None:
    """Draw eigenvalues of update maps beside the unit circle; those of the formulas as rings."""
    angle = np.linspace(0, 2 * np.pi, 721)
    axes.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=1.2)
    shown = np.concatenate([each.multipliers for each in tried] or [np.zeros(0)])
    for i, each in enumerate(tried):
        if each.problem:
            continue
        colour = look(i)["color"]
        axes.plot(
            each.multipliers.real,
            each.multipliers.imag,
            mark(i),
            color=colour,
            markersize=6,
            label=each.rule,
            linestyle="none",
        )
        if each.formula is not None:
            ring: dict[str, Any] = {"markersize": 13, "markerfacecolor": "none", "linestyle": "none"}
            axes.plot(each.formula.real, each.formula.imag, "o", color=colour, **ring)
    near = shown[np.abs(shown) > 0.6]  # what else there is dies out at once
    if len(near):
        margin = 0.05
        axes.set_xlim(near.real.min() - margin, max(1.0, near.real.max()) + margin)
        axes.set_ylim(near.imag.min() - margin, near.imag.max() + margin)
    styled(axes, "Leading eigenvalues of a step (rings: on paper)", "real part", "imaginary part")
