"""Predict from the linearisation, then run the rule and measure.

Near an equilibrium the difference of two runs follows the derivative of the rule's step, so that in the plane of its
leading pair of eigenvalues λ, λ̄ the differences d_t obey d_{t+2} = 2 Re λ d_{t+1} - |λ|² d_t. The two coefficients are
fitted to a run, and their roots are the λ that was measured; nothing of the prediction enters but where the run begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, NonFiniteError
from npgan.game import DifferentiableGame, Rule
from npgan.options import number, whole
from npgan.study.spectrum import Spectrum, map_spectrum

_FAR, _NEAR = 1e3, 1e-2  # of the first difference: where it is not linear any more, or drowns in what else there is


@dataclass(frozen=True)
class Mode:
    """One mode of an update map.

    Attributes
    ----------
    multiplier : complex
    radius : float
        |multiplier|: what a distance is multiplied with in a step.
    period : float
        Steps of a turn; infinite where it does not turn.
    """

    multiplier: complex

    @property
    def radius(self) -> float:  # noqa: D102
        return abs(self.multiplier)

    @property
    def period(self) -> float:  # noqa: D102
        angle = abs(np.angle(self.multiplier))
        return float(2 * np.pi / angle) if angle > 0 else float("inf")

    def __str__(self) -> str:
        turning = f", a turn in {self.period:.6g} steps" if np.isfinite(self.period) else ", no rotation"
        return f"radius {self.radius:.6f}{turning}"


@dataclass(frozen=True)
class Verification:
    """What was predicted beside what was measured.

    Attributes
    ----------
    predicted, measured : Mode
    disagreement : float
        |predicted - measured| multiplier.
    steps : int
        That were used.
    distances : array (steps + 1,)
        Of the two runs, before each step and after the last.
    misfit : float
        What the fitted recurrence leaves unexplained, relative: of the size of rounding for a pure mode.
    drift : float
        How far the run from the point itself moved: 0 at an equilibrium.
    """

    predicted: Mode
    measured: Mode
    disagreement: float
    steps: int
    distances: Array
    misfit: float
    drift: float

    def __str__(self) -> str:
        lines = [
            f"predicted: {self.predicted}",
            f"measured:  {self.measured} (over {self.steps} steps)",
            f"the multipliers differ by {self.disagreement:.1e}",
        ]
        if self.misfit > 0.01:
            lines.append(
                f"one mode explains the run but for {self.misfit:.0%}: the run from the point itself moved by "
                f"{self.drift:.2g}, where it would have rested at an equilibrium"
            )
        return "\n".join(lines)


def leading_mode(spectrum: Spectrum) -> int:
    """Return which mode of an update map leads, not counting those whose multiplier is 1, which do not move.

    Raises
    ------
    ConfigError
        None moves.
    """
    moving = np.flatnonzero(spectrum.moving)
    if not len(moving):
        raise ConfigError(
            f"none of the {len(spectrum.values)} modes moves: all multipliers are 1; ask for more, or for all (k=None)"
        )
    return int(moving[0])


def verify(
    rule: Rule,
    game: DifferentiableGame,
    *,
    steps: int | None = None,
    size: float | None = None,
    mode: int | None = None,
    k: int | None = None,
    spectrum: Spectrum | None = None,
) -> Verification:
    """Run a rule from near the game's point, and compare with what its linearisation there predicts.

    Two runs are made, one from the point and one a little along the mode, and their difference is looked at: at an
    equilibrium the first does not move. Afterwards the game and the rule's memory are as before.

    Parameters
    ----------
    rule : Rule
    game : DifferentiableGame
        At an equilibrium, or near one; away from it the linearisation changes along the way.
    steps : int, optional
        By default three turns of the mode, from 50 to 1,000.
    size : float, optional
        Of the first difference, in weights and memory together; by default 1e-6, or 1e-2 in float32.
    mode : int, optional
        Which of the spectrum; by default the leading one that moves.
    k : int, optional
        How many modes to look for; all unless given.
    spectrum : Spectrum, optional
        Of this rule here, where it is there already.

    Raises
    ------
    NonFiniteError
        The run left for infinity.
    ConfigError
        No mode moves, or too few steps could be used.
    """
    found = map_spectrum(rule, game, k) if spectrum is None else spectrum
    i = leading_mode(found) if mode is None else whole("mode", mode)
    if i >= len(found.values):
        raise ConfigError(f"mode is {i}, but the spectrum has {len(found.values)}: from 0 to {len(found.values) - 1}")
    predicted = Mode(complex(found.values[i]))
    if steps is None:
        steps = int(np.clip(3 * min(predicted.period, 1e6), 50, 1000)) if np.isfinite(predicted.period) else 50
    steps = whole("steps", steps, least=4)
    size = (1e-2 if game.dtype == np.float32 else 1e-6) if size is None else number("size", size, above=0)
    along = _real(found.eigen.vectors[:, i]) * size
    state = rule.state(game)
    runs = []
    for shift in (np.zeros_like(along), along):
        with rule.kept(game):
            rule.load_state(game, state + game.backend.asarray(shift.astype(game.dtype)))
            runs.append(_run(rule, game, steps))
    differences = runs[1] - runs[0]
    with np.errstate(over="ignore"):  # of a run that explodes; what is infinitely far is cut off
        drift = float(np.linalg.norm(runs[0] - runs[0][0], axis=1).max())
        distances = np.linalg.norm(differences, axis=1)
    return _fit(predicted, differences, distances, drift)


def _real(vector: Array) -> Array:
    """Return the real part of a complex vector of length 1, turned so that it is as long as can be, to length 1."""
    turned = vector * np.exp(-0.5j * np.angle((vector * vector).sum()))
    part: Array = turned.real.copy()
    part /= np.linalg.norm(part)
    return part


def _run(rule: Rule, game: DifferentiableGame, steps: int) -> Array:
    """Return the weights before each step and after the last (steps + 1, P)."""
    path = [game.backend.to_host(game.theta).astype(np.float64)]
    for step in range(steps):
        try:
            rule.step(game)
        except NonFiniteError as error:
            raise NonFiniteError(f"step {step} of the verifying run: {error}; give fewer steps") from None
        path.append(game.backend.to_host(game.theta).astype(np.float64))
    return np.array(path)


def _fit(predicted: Mode, differences: Array, distances: Array, drift: float) -> Verification:
    inside = (distances < _FAR * distances[0]) & (distances > _NEAR * distances[0])
    usable = len(inside) if inside.all() else int(np.argmin(inside))
    order = 2 if abs(predicted.multiplier.imag) > 1e-12 else 1
    if usable < order + 2:
        raise ConfigError(
            f"only {usable} points of the run are near enough to be linear and far enough to be measured; "
            "give another size, or a mode that is neither as fast nor as short-lived"
        )
    d = differences[:usable]
    columns = [d[order - 1 - j : usable - 1 - j].reshape(-1) for j in range(order)]
    target = d[order:].reshape(-1)
    matrix = np.stack(columns, axis=1)
    coefficients = np.linalg.lstsq(matrix, target, rcond=None)[0]
    misfit = float(np.linalg.norm(matrix @ coefficients - target) / np.linalg.norm(target))
    roots = np.roots([1.0, *-coefficients])
    measured = Mode(complex(roots[np.argmin(np.abs(roots - predicted.multiplier))]))
    gap = abs(measured.multiplier - predicted.multiplier)
    return Verification(predicted, measured, float(gap), usable - 1, distances[:usable], misfit, drift)
