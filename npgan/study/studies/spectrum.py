"""The spectrum along a training run: the flow's and the update map's eigenvalues, and the instability they foretell.

At checkpoints of a real run, on a batch that stays the same, all eigenvalues of -J and of the derivative of the rule's
next step are found, with Adam's memory as it then is. A multiplier beyond the unit circle foretells that two runs that
begin a little apart drift apart by that factor a step; two such runs are made, and what they do stands beside it. Away
from an equilibrium the prediction holds for as long as the linearisation does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.options import number, whole
from npgan.study.predict import Mode
from npgan.study.spectrum import Spectrum, flow_spectrum, map_spectrum
from npgan.study.split import split
from npgan.study.studies.drawing import paragraphs, table
from npgan.study.studies.quality import quality
from npgan.study.studies.spectrum_drawing import draw_spectrum
from npgan.study.studies.study import Study
from npgan.study.studies.toy import Toy

_SAMPLES = 2500
_APART = 1e-6  # two runs that drift apart, at first


@dataclass(frozen=True)
class Checkpoint:
    """One point of the run.

    Attributes
    ----------
    step : int
    losses : (float, float)
        L_D and L_G, on the fixed batch.
    gradient : float
        ‖v‖.
    flow : complex array (P,)
        Eigenvalues of -J, the largest real part first.
    flow_d : array (P,)
        D's share in each of their modes.
    multipliers : complex array (S,)
        Eigenvalues of the rule's step, the largest modulus first; S counts its memory too.
    radius, period : float
        Of the leading multiplier.
    leading_d : float
        D's share in its mode.
    foretold, measured : float
        By what the distance of two runs along the leading mode is multiplied in the next step: through the operator,
        and by two runs. For a real multiplier the first is the radius.
    later : float
        The factor a step over `ahead` steps, measured, while the linearisation changes.
    potential : float
        The share of J that is symmetric: 1 is a potential that is descended, 0 pure rotation.
    modes, high : int, float
        Modes captured and share of samples of high quality.
    """

    step: int
    losses: tuple[float, float]
    gradient: float
    flow: Array
    flow_d: Array
    multipliers: Array
    radius: float
    period: float
    leading_d: float
    foretold: float
    measured: float
    later: float
    potential: float
    modes: int
    high: float


@dataclass(frozen=True)
class SpectrumStudy:
    """What `spectrum` found.

    Attributes
    ----------
    rule, optimizer, loss, penalty : str
    lr : float
    sizes : (int, int)
        P_D and P_G.
    ahead : int
        Steps over which two runs were compared.
    checkpoints : list of Checkpoint
    """

    rule: str
    optimizer: str
    loss: str
    penalty: str
    lr: float
    sizes: tuple[int, int]
    ahead: int
    checkpoints: list[Checkpoint]


def spectrum(
    *,
    data: str = "ring-8",
    loss: str = "non-saturating",
    penalty: str = "none",
    rule: str = "alternating",
    optimizer: str = "adam",
    width: int = 10,
    depth: int = 2,
    batch: int = 128,
    lr: float = 2e-3,
    steps: int = 4000,
    checkpoints: int = 9,
    ahead: int = 20,
    backend: str = "cpu",
    seed: int = 0,
) -> SpectrumStudy:
    """Train a small GAN, and find every eigenvalue along the way.

    Parameters
    ----------
    data, loss, penalty, rule, optimizer, batch, lr, backend, seed
        See `Toy`; the activation is tanh, for a smooth J.
    width, depth : int
        Small: all of J is made, and of the rule's step with its memory.
    steps, checkpoints : int
        Of training, and how many times to look, evenly in the square root, as more happens at first.
    ahead : int
        Steps for which two runs are compared at each.

    Raises
    ------
    ConfigError
        A setting makes no sense, or the networks are too large.
    NonFiniteError
        A gradient is not finite.
    """
    made = {"width": width, "depth": depth, "batch": batch, "lr": number("lr", lr, above=0), "seed": seed}
    named = {"loss": loss, "penalty": penalty, "rule": rule, "optimizer": optimizer, "activation": "tanh"}
    toy = Toy(data, **made, **named, dtype="float64", order=2, backend=backend)  # type: ignore[arg-type]
    sizes = toy.point().sizes
    if sum(sizes) > 1000:
        raise ConfigError(
            f"width {width} and depth {depth} give {sum(sizes):,} weights, and every eigenvalue is found: at most 1,000"
        )
    steps, ahead = whole("steps", steps, least=1), whole("ahead", ahead, least=4)
    evenly = np.linspace(0, 1, whole("checkpoints", checkpoints, least=1)) ** 2
    looks = np.unique(np.maximum(1, np.rint(evenly * steps))) if len(evenly) > 1 else np.array([steps])
    rows = []
    for step in range(1, int(looks[-1]) + 1):  # Adam has a preconditioner after its first step
        toy.step(step - 1)
        if step in looks:
            rows.append(_look(toy, step, ahead))
    return SpectrumStudy(rule, optimizer, loss, penalty, lr, (sizes[0], sizes[1]), ahead, rows)


def _look(toy: Toy, step: int, ahead: int) -> Checkpoint:
    game = toy.point()
    flow = flow_spectrum(game)
    step_map = map_spectrum(toy.rule, game)
    leading = Mode(complex(step_map.values[0]))
    good = quality(toy.samples(_SAMPLES), toy.mixture)
    return Checkpoint(
        step,
        game.losses(),
        float(np.linalg.norm(toy.backend.to_host(game.gradient()))),
        flow.values,
        flow.participation[:, 0],
        step_map.values,
        leading.radius,
        leading.period,
        float(step_map.participation[0, 0]),
        *_drift(toy, step_map, ahead),
        split(game).potential,
        good.modes,
        good.high,
    )


def _drift(toy: Toy, step_map: Spectrum, ahead: int) -> tuple[float, float, float]:
    """Return by what two runs drift apart in a step, foretold and measured, and measured a step over `ahead`."""
    game, rule = toy.point(), toy.rule
    leading = step_map.eigen.vectors[:, 0]
    along = (leading * np.exp(-0.5j * np.angle((leading * leading).sum()))).real  # as long as it can be
    along *= _APART / np.linalg.norm(along)
    foretold = float(np.linalg.norm(rule.operator(game).matvec(along)) / _APART)
    state, ends = rule.state(game), []
    for shift in (np.zeros_like(along), along):
        with rule.kept(game):
            rule.load_state(game, state + toy.backend.asarray(shift))
            path = []
            for _ in range(ahead):
                rule.step(game)
                path.append(toy.backend.to_host(rule.state(game)))
            ends.append(np.array(path))
    apart = np.linalg.norm(ends[1] - ends[0], axis=1) / _APART
    return foretold, float(apart[0]), float(apart[-1] ** (1 / ahead))


def tell(found: SpectrumStudy) -> str:
    """Return what is seen, in words with numbers."""
    rows = [
        [
            f"{each.step:,}",
            f"{each.flow.real.max():+.3g}",
            f"{np.abs(each.flow.imag).max():.3g}",
            f"{each.radius:.5f}",
            f"{each.period:.0f}" if np.isfinite(each.period) else "none",
            f"{each.leading_d:.0%}",
            f"{each.foretold:.5f}",
            f"{each.measured:.5f}",
            f"{each.later:.5f}",
            "-" if np.isnan(each.potential) else f"{each.potential:.0%}",
            f"{each.modes}",
            f"{each.high:.0%}",
        ]
        for each in found.checkpoints
    ]
    header = ["step", "growth", "turn", "radius", "period", "D's part", "next step", "measured"]
    header += [f"over {found.ahead}", "potential", "modes", "good"]
    first, last = found.checkpoints[0], found.checkpoints[-1]
    outside = [int((np.abs(each.multipliers) > 1 + 1e-6).sum()) for each in found.checkpoints]
    gaps = np.array([abs(each.measured - each.foretold) for each in found.checkpoints])
    excess = np.array([abs(each.foretold - 1) for each in found.checkpoints])
    penalty = "" if found.penalty == "none" else f" with {found.penalty}"
    lines = [
        f"{found.rule} steps of {found.optimizer} (rate {found.lr:g}) on the {found.loss} loss{penalty}, "
        f"{found.sizes[0]} weights of D and {found.sizes[1]} of G. Of the flow: the fastest growth and turn, a unit of "
        "time. Of the update map: its radius, steps a turn, and D's part in the mode that leads; by what two runs "
        f"along it drift apart in the next step, foretold and measured, and measured a step over {found.ahead}.",
        "",
        table(header, rows),
        "",
        f"Multipliers outside the unit circle: {outside[0]} at step {first.step:,}, {outside[-1]} at step "
        f"{last.step:,}, of {len(last.multipliers)}.",
    ]
    worst = max(found.checkpoints, key=lambda each: each.radius)
    if worst.radius > 1 + 1e-6:
        lines.append(
            f"The least stable point is at step {worst.step:,}: a distance is foretold to double in "
            f"{np.log(2) / np.log(worst.radius):.3g} steps there."
        )
    else:
        lines.append("No multiplier lies outside the unit circle at any checkpoint: nothing is foretold to grow.")
    lines.append(
        f"For the next step what is foretold and what is measured differ by {np.median(gaps):.1e} in the median and "
        f"{gaps.max():.1e} at most, where the factor itself differs from 1 by {np.median(excess):.1e} in the median."
    )
    if np.median(gaps) > 0.1 * np.median(excess):
        lines.append(
            "That is no small part of it: the second moments, held fixed in the linearisation, respond as well."
        )
    lasting = [(each.later - 1) / (each.measured - 1) for each in found.checkpoints if each.measured != 1]
    if lasting:
        lines.append(
            f"Over {found.ahead} steps the growth a step is {np.median(lasting):.0%} of that in the first, in the "
            "median: the weights move on, and the direction that grows turns away from the one that was followed."
        )
    shares = [f"{each.potential:.0%}" for each in (first, last)]
    if "nan%" in shares:
        lines.append("At one end of the run J is 0: nothing moves there.")
    elif shares[0] == shares[1]:
        lines.append(f"The symmetric share of J is {shares[0]} at both ends of the run.")
    else:
        turning = "less" if last.potential > first.potential else "more"
        lines.append(f"The symmetric share of J went from {shares[0]} to {shares[1]}: {turning} of it rotates.")
    return paragraphs(*lines)


SPECTRUM = Study(
    "spectrum",
    "eigenvalues of the game along a run, and the instability they foretell",
    spectrum,
    tell,
    draw_spectrum,
    40,
)
