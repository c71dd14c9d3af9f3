"""What a spectrum says, in words with numbers: stable or not, how fast it turns, and what would help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.game import DifferentiableGame, QuadraticGame, Rule, dense
from npgan.study.predict import Mode, leading_mode
from npgan.study.spectrum import Spectrum, map_spectrum

_EVEN = 1e-10  # a radius is 1 up to this
_SEARCH = 512  # weights up to which step sizes and penalties are tried


@dataclass(frozen=True)
class Verdict:
    """A rule at a point of a game.

    Attributes
    ----------
    rule : str
    rates : (float, float)
        Of D and of G.
    state : {"stable", "marginal", "unstable"}
        The leading mode's radius is below, at or above 1.
    mode : Mode
        The leading one that moves.
    participation : (float, float)
        The share of D and of G in it.
    residual : float
        ‖A x - λ x‖ of it.
    still : int
        Modes that do not move at all.
    seen, size : int
        How many modes were looked at, of how many.
    defective : bool
        The map has no full set of eigenvectors, so that its eigenvalues are known to half the digits.
    step : float or None
        The largest factor on both rates with which nothing grows; 0 where there is none, None where it was not looked
        for (more than 512 weights).
    penalty : float or None
        The least strength of the penalty that was given with which everything shrinks; infinite where none does, None
        where it was not looked for.
    """

    rule: str
    rates: tuple[float, float]
    state: str
    mode: Mode
    participation: tuple[float, float]
    residual: float
    still: int
    seen: int
    size: int
    defective: bool
    step: float | None
    penalty: float | None

    def __str__(self) -> str:
        d, g = self.rates
        rates = f"step size {d:g}" if d == g else f"step sizes {d:g} of D and {g:g} of G"
        lines = [f"{self.rule} with {rates}: {self.state}. {self._leading()}"]
        if self.still:
            lines.append(f"{self.still} of the {self.seen} modes do not move: directions that change nothing.")
        if self.seen < self.size:
            lines.append(f"Seen were the {self.seen} leading modes of {self.size:,}.")
        if self.defective:
            lines.append("Two modes coincide (the map is defective): eigenvalues are known to half the digits only.")
        lines += self._step() + self._penalty()
        return "\n".join(lines)

    def _leading(self) -> str:
        radius, (d, g) = self.mode.radius, self.participation
        if self.state == "marginal":
            speed = "neither grows nor shrinks"
        else:
            half = abs(np.log(2.0) / np.log(radius)) if radius > 0 else 0.0
            speed = f"{'grows twofold' if radius > 1 else 'shrinks to half'} in {half:.4g} steps"
        turning = f"turns once in {self.mode.period:.4g} steps" if np.isfinite(self.mode.period) else "does not turn"
        shares = f"D takes part with {d:.0%}, G with {g:.0%}"
        return f"The leading mode has radius {radius:.6f}: it {speed} and {turning}; {shares}."

    def _step(self) -> list[str]:
        if self.step is None:
            return []
        if self.step == 0:
            return ["No step size is stable, however small."]
        largest = " and ".join(f"{rate * self.step:.4g}" for rate in dict.fromkeys(self.rates))
        return [f"Nothing grows up to a step size of {largest} ({self.step:.4g} times this one)."]

    def _penalty(self) -> list[str]:
        if self.penalty is None:
            return []
        if np.isinf(self.penalty):
            return ["The penalty stabilises it at no strength from 0.0001 to 10,000."]
        if self.penalty == 0:
            return ["It needs no penalty." if self.state == "stable" else "The penalty stabilises it, however weak."]
        return [f"The penalty stabilises it from a strength of {self.penalty:.4g}."]


def verdict(
    rule: Rule,
    game: DifferentiableGame,
    *,
    k: int | None = None,
    penalized: DifferentiableGame | None = None,
    spectrum: Spectrum | None = None,
) -> Verdict:
    """Return what a rule does near the game's point.

    Parameters
    ----------
    rule : Rule
    game : DifferentiableGame
    k : int, optional
        How many modes to look at, by ARPACK; all unless given.
    penalized : DifferentiableGame, optional
        The same game at the same point with a penalty of strength 1, such as
        ``game.penalized([get_penalty("r1", gamma=1.0)])``: the least strength that stabilises is looked for.
    spectrum : Spectrum, optional
        Of this rule here, where it is there already.

    Raises
    ------
    As `map_spectrum`.
    """
    found = map_spectrum(rule, game, k) if spectrum is None else spectrum
    i = leading_mode(found)
    mode = Mode(complex(found.values[i]))
    state = "unstable" if mode.radius > 1 + _EVEN else "stable" if mode.radius < 1 - _EVEN else "marginal"
    small = game.size <= _SEARCH
    share = found.participation[i]
    return Verdict(
        rule=rule.name,
        rates=rule.rates,
        state=state,
        mode=mode,
        participation=(float(share[0]), float(share[1])),
        residual=float(found.eigen.residuals[i]),
        still=int((~found.moving).sum()),
        seen=len(found.values),
        size=found.eigen.vectors.shape[0],
        defective=found.eigen.defective,
        step=largest_step(rule, game) if small else None,
        penalty=least_penalty(rule, game, penalized) if small and penalized is not None else None,
    )


def largest_step(rule: Rule, game: DifferentiableGame) -> float:
    """Return the largest factor on both learning rates up to which no mode grows, to six digits; 0 for none.

    Of the linearisation, so exact at an equilibrium. Infinite where nothing grows until the fastest mode moves a
    hundredfold of itself in a step.
    """
    model = QuadraticGame.model(game)

    def values(factor: float) -> Array:
        with rule.scaled(factor):
            return _values(rule, model)

    fastest = float(np.abs(values(1.0) - 1).max())
    if fastest == 0:
        return float("inf")
    low = 1e-2 / fastest  # small enough to be the flow, large enough for a growth of second order to show
    if _grows(values(low)):
        return 0.0
    while low * fastest < 1e2:
        high = low * 1.25
        if _grows(values(high)):
            return _bisect(lambda factor: not _grows(values(factor)), low, high)
        low = high
    return float("inf")


def least_penalty(rule: Rule, game: DifferentiableGame, penalized: DifferentiableGame) -> float:
    """Return the least strength of a penalty with which every mode that moves shrinks, to six digits.

    Parameters
    ----------
    rule : Rule
    game, penalized : DifferentiableGame
        Without the penalty, and with one of strength 1, at the same point. J is linear in the strength; the point is
        taken to stay where it is, as it does at an equilibrium where the penalty's gradient is 0.

    Returns
    -------
    float
        0 where no penalty is needed, or any is enough; infinite where none from 1e-4 to 1e4 is.
    """
    J = game.jacobian()
    K = penalized.jacobian() - J

    def shrinks(strength: float) -> bool:
        values = _values(rule, QuadraticGame.model(game, J + strength * K))
        away = np.abs(values - 1)
        return bool((np.abs(values[away > 1e-7 * away.max()]) < 1 - _EVEN).all())

    if shrinks(0.0):
        return 0.0
    strengths = np.geomspace(1e-4, 1e4, 65)
    for low, high in zip((0.0, *strengths[:-1]), strengths, strict=True):
        if shrinks(float(high)):
            found = _bisect(lambda strength: not shrinks(strength), float(low), float(high))
            return found if found > 1e-7 else 0.0
    return float("inf")


def _values(rule: Rule, model: DifferentiableGame) -> Array:
    return np.linalg.eigvals(dense(rule.operator(model)).astype(np.float64))


def _grows(values: Array) -> bool:
    away = np.abs(values - 1)
    return bool((np.abs(values[away > 1e-7 * away.max()]) > 1 + _EVEN).any())


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where `holds` ends between `low`, where it does, and `high`, where it does not."""
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2
