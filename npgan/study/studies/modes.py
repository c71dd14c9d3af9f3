"""Modes captured and quality of the samples, over seeds, for losses, penalties and rules.

What is trained is a published preset for each data set, the plain GAN, and the preset with one thing changed: a loss, a
penalty or a rule. A step of one rule costs many times one of another, so all are looked at when they have spent as
many evaluations of the field (see `Rule.evaluations`; what a penalty costs is not counted). Definitions are those of
`quality`; means come with 95 % intervals of Student's t over the seeds. The papers' numbers for one and the same method
differ six-fold, so every setting stands in the result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ConvergenceError, NonFiniteError
from npgan.game import RULES, bilinear_game, get_rule
from npgan.game.averaged import Averaging
from npgan.losses import LOSSES
from npgan.options import find, whole
from npgan.study.rules import interval
from npgan.study.studies.drawing import paragraphs, table
from npgan.study.studies.modes_drawing import draw_modes, film_modes
from npgan.study.studies.presets import PLAIN, PRESETS
from npgan.study.studies.quality import quality
from npgan.study.studies.settings import parse, settled
from npgan.study.studies.study import Study
from npgan.study.studies.texts import penalties_of, rule_of
from npgan.study.studies.toy import TOYS, Toy

SAMPLES = 2500  # as in the papers
_SHOWN = 600  # in the film
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One way of training, over S seeds, looked at C times.

    Attributes
    ----------
    name : str
    settings : dict
        All of `Toy`'s; `steps` is what the budget is enough for, by the least that a step of the rule costs.
    cost : float
        Of a step, in evaluations of the field, in the mean.
    modes, high, divergence : array (S,)
        See `quality`, at the end. A run that did not stay finite captures nothing.
    mean_modes, mean_high, mean_divergence : (float, float)
        Mean and half of the 95 % interval; NaN of one seed.
    modes_by_look, high_by_look : array (S, C)
    film : array (C, n, 2)
        Samples of the first seed, of the same latents at every look.
    problems : list of str
        What went wrong, by seed.
    """

    name: str
    settings: dict[str, Any]
    cost: float
    modes: Array
    high: Array
    divergence: Array
    mean_modes: tuple[float, float]
    mean_high: tuple[float, float]
    mean_divergence: tuple[float, float]
    modes_by_look: Array
    high_by_look: Array
    film: Array
    problems: list[str]


@dataclass(frozen=True)
class ModesStudy:
    """What `modes` found.

    Attributes
    ----------
    data : str
    means : array (K, 2)
        The data's modes.
    deviation : float
        Of each.
    seeds : tuple of int
    evaluations : array (C,)
        Of the field, spent where it was looked: steps of a rule that costs one a step, as descent does.
    rows : list of Row
    """

    data: str
    means: Array
    deviation: float
    seeds: tuple[int, ...]
    evaluations: Array
    rows: list[Row]


def modes(
    *,
    data: str = "ring-8",
    losses: Sequence[str] = (),
    penalties: Sequence[str] = ("none",),
    rules: Sequence[str] = (),
    plain: bool = True,
    seeds: int = 5,
    steps: int = 0,
    changes: Sequence[str] = (),
    looks: int = 24,
    backend: str = "cpu",
    seed: int = 0,
) -> ModesStudy:
    """Train on a mixture in the plane in several ways, and count the modes.

    Parameters
    ----------
    data : {"ring-8", "grid-25"}
        Its preset is always trained.
    losses, penalties, rules : sequence of str
        The preset is also trained with each of these in its place; ``("all",)`` is all losses or rules that there are.
        Penalties and rules may have options: ``"r1 gamma=0.1"``, ``"consensus gamma=0.5"``; no penalty is ``"none"``.
    plain : bool
        Train the plain GAN too.
    seeds : int
        How many, from `seed` on.
    steps : int
        Of descent; 0 for the preset's. A rule that costs k times as much takes a k-th of them.
    changes : sequence of str
        To the preset: ``"depth=3"``, ``"lr=1e-3"``, ``"ema=0"``; see `Toy`.
    looks : int
        How often to look at the samples, and frames of the film.
    backend, seed
        See `Toy`.

    Raises
    ------
    ConfigError
        A setting makes no sense.
    """
    preset = settled("changes", dict(find("data", PRESETS, data)), parse(list(changes)))
    preset["steps"] = budget = whole("steps", steps) or preset["steps"]
    losses, rules = _all_of(losses, LOSSES), _all_of(rules, RULES)
    for name in losses:
        find("loss", LOSSES, name)
    for text in rules:
        rule_of(text)
    for text in penalties:
        penalties_of(text)
    several = range(whole("seed", seed), seed + whole("seeds", seeds, least=1))
    ways: dict[str, dict[str, Any]] = {"preset": preset}
    if plain:
        ways["plain GAN"] = {**PLAIN, "steps": preset["steps"], "width": preset["width"]}
    for kind, names in (("loss", losses), ("penalty", penalties), ("rule", rules)):
        ways |= {f"{kind} {name}": {**preset, kind: name} for name in names if name != preset[kind]}
    for way in ways.values():
        name, options = rule_of(way["rule"])
        rule = get_rule(name, bilinear_game(), **options)
        way["steps"] = max(1, int(budget / rule.evaluations + 1e-9))
        if isinstance(rule, Averaging):  # the rule's own average is what is to be seen
            way["ema"] = 0.0
    marks = np.unique(np.rint(np.linspace(1, budget, whole("looks", looks, least=1)))).astype(np.int64)
    marks[-1] = budget
    rows = [_row(name, data, way, several, marks, backend) for name, way in ways.items()]
    mixture = TOYS[data]()
    return ModesStudy(data, mixture.means, float(mixture.stds[0, 0]), tuple(several), marks, rows)


def _all_of(names: Sequence[str], known: Mapping[str, Any]) -> Sequence[str]:
    return list(known) if tuple(names) == ("all",) else names


def _row(name: str, data: str, settings: Mapping[str, Any], seeds: Sequence[int], marks: Array, backend: str) -> Row:
    modes_by_look = np.zeros((len(seeds), len(marks)), np.int64)
    high_by_look = np.zeros((len(seeds), len(marks)))
    divergence = np.full(len(seeds), np.inf)
    film = np.full((len(marks), _SHOWN, 2), np.nan, np.float32)
    problems: list[str] = []
    costs: list[float] = []
    for i, seed in enumerate(seeds):
        toy, spent, step = Toy(data, seed=seed, backend=backend, **settings), 0.0, 0
        try:
            for at, mark in enumerate(marks):
                while spent + toy.rule.evaluations <= mark + 1e-6:
                    toy.step(step)
                    spent, step = spent + toy.rule.evaluations, step + 1
                samples = toy.samples(SAMPLES)
                found = quality(samples, toy.mixture)
                modes_by_look[i, at], high_by_look[i, at] = found.modes, found.high
                divergence[i] = found.divergence
                if i == 0:
                    film[at] = samples[:_SHOWN]
        except (NonFiniteError, ConvergenceError) as error:
            divergence[i] = np.inf
            problems.append(f"seed {seed}: {error}")
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        costs.append(spent / step if step else toy.rule.evaluations)
        high = 100 * high_by_look[i, -1]
        _LOG.info("%s, seed %d: %d modes, %.1f %% of high quality", name, seed, modes_by_look[i, -1], high)
    last_modes, last_high = modes_by_look[:, -1], high_by_look[:, -1]
    return Row(
        name,
        dict(settings),
        float(np.mean(costs)),
        last_modes,
        last_high,
        divergence,
        _mean(last_modes),
        _mean(last_high),
        _mean(divergence),
        modes_by_look,
        high_by_look,
        film,
        problems,
    )


def _mean(values: Array) -> tuple[float, float]:
    """Return the mean of values (S,) and half of its 95 % interval, NaN of one value or of infinite ones."""
    if not np.isfinite(values).all():
        return float(np.mean(values)), float("nan")
    found = interval(np.asarray(values, np.float64), axis=0)
    return float(found.mean), float(found.high - found.mean)


def tell(found: ModesStudy) -> str:
    """Return what is seen, in words with numbers."""
    everything = len(found.means)
    rows = [
        [
            row.name,
            _text(*row.mean_modes),
            _text(100 * row.mean_high[0], 100 * row.mean_high[1]),
            f"{100 * row.high.min():.1f}",
            _text(*row.mean_divergence, digits=3),
            f"{int((row.modes == everything).sum())} of {len(found.seeds)}",
            f"{row.cost:.3g}",
        ]
        for row in found.rows
    ]
    header = ["", "modes", "high quality %", "worst seed %", "KL (nats)", "seeds with all modes", "gradients a step"]
    preset = found.rows[0]
    lines = [
        f"{found.data}: {everything} Gaussians of deviation {found.deviation:g}; {SAMPLES} samples after "
        f"{found.evaluations[-1]:,} evaluations of both players' gradients, seeds {found.seeds[0]} to "
        f"{found.seeds[-1]}. A sample is of high quality within three deviations of a mode, a mode is captured by one "
        "such sample, and KL is that of the modes' shares. Means with 95 % intervals (Student's t).",
        "",
        table(header, rows),
        "",
    ]
    best = max(found.rows, key=_rank)
    if _rank(best) > _rank(preset):
        lines.append(_better(best, preset))
    reached = bool((preset.modes == everything).all()) and preset.high.min() >= 0.95
    lines.append(
        f"The preset captures all {everything} modes with at least 95 % of high quality with every seed."
        if reached
        else f"The preset does not get all {everything} modes with at least 95 % of high quality with every seed: "
        f"the least are {preset.modes.min()} modes and {100 * preset.high.min():.1f} % of high quality."
    )
    lines += [f"{row.name}, {problem}" for row in found.rows for problem in row.problems]
    shown = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
    lines.append(f"The preset: {shown}.")
    return paragraphs(*lines)


def _better(best: Row, preset: Row) -> str:
    """Return by how much, and whether the seeds tell the two apart: by the interval of the differences, run by run."""
    if best.mean_modes[0] > preset.mean_modes[0]:
        what, mean, half = "modes", *_mean(best.modes - preset.modes)
    else:
        what, mean, half = "% of high quality", *_mean(100 * (best.high - preset.high))
    apart = "" if abs(mean) > half else ", which these seeds do not tell apart"
    return (
        f"In the mean {best.name} does better than the preset, with {best.mean_modes[0]:.3g} modes and "
        f"{100 * best.mean_high[0]:.1f} % of high quality. On equal seeds the difference is {_text(mean, half)} {what}"
        f"{apart}."
    )


def _rank(row: Row) -> tuple[float, float]:
    """Return what to compare ways by: modes first, as samples of one mode alone are easily of high quality."""
    return row.mean_modes[0], row.mean_high[0]


def _text(mean: float, half: float, digits: int = 1) -> str:
    if not np.isfinite(mean):
        return "infinite"
    return f"{mean:.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


MODES = Study(
    "modes",
    "modes captured and quality over seeds, with a film of the samples",
    modes,
    tell,
    draw_modes,
    600,
    film_modes,
)
