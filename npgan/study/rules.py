"""Update rules compared for what they cost: per evaluation of the field, on equal seeds, with intervals.

A step of one rule costs many times one of another, so they are looked at when they have spent as much. Runs of one seed
begin with the same weights and see the same stream of data, so rules are also compared run by run: the interval of the
differences is what tells two of them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ConvergenceError, NonFiniteError
from npgan.game import DifferentiableGame, MiniBatches, get_rule
from npgan.options import number, whole
from npgan.recipes import Recipe, get_recipe
from npgan.training.config import merge
from npgan.training.experiment import Experiment
from npgan.training.trainer import override, resolve


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval, Student's.

    Attributes
    ----------
    mean, low, high : array (...,)
        The bounds are NaN of fewer than two runs.
    runs : array (...,)
        That there were: those that had not failed.
    """

    mean: Array
    low: Array
    high: Array
    runs: Array


@dataclass(frozen=True)
class Comparison:
    """What runs had reached when they had spent as much as each other.

    Attributes
    ----------
    rules : tuple of str
        R labels.
    quantities : tuple of str
        Q of what was measured.
    seeds : tuple of int
        S.
    evaluations : array (T,)
        Of the field, spent: 0 first.
    values : array (R, S, T, Q)
        NaN from where a run has failed.
    spent : array (R, S, T)
        What had really been: the steps that the budget allows, so up to a step less.
    steps : array (R, S, T)
        That were taken.
    failures : dict of (str, int) to str
        Why the run of a rule and seed ended: something was not finite, or was not solved.
    """

    rules: tuple[str, ...]
    quantities: tuple[str, ...]
    seeds: tuple[int, ...]
    evaluations: Array
    values: Array
    spent: Array
    steps: Array
    failures: dict[tuple[str, int], str]

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the mean over seeds (R, T, Q)."""
        return interval(self.values, axis=1, confidence=confidence)

    def against(self, rule: str, confidence: float = 0.95) -> Interval:
        """Return the mean over seeds of each rule's value minus this one's of the same seed (R, T, Q)."""
        if rule not in self.rules:
            raise ConfigError(f"the rule is {rule!r}, expected one that was compared: {', '.join(self.rules)}")
        own = self.values[self.rules.index(rule)]
        return interval(self.values - own, axis=1, confidence=confidence)


def interval(values: Array, *, axis: int, confidence: float = 0.95) -> Interval:
    """Return the mean along an axis and Student's interval, of what is not NaN."""
    from scipy.special import stdtrit

    level = number("confidence", confidence, above=0, below=1)
    there = ~np.isnan(values)
    runs = there.sum(axis=axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, values, 0.0).sum(axis=axis) / np.where(runs > 0, runs, np.nan)
        squares = np.where(there, values - np.expand_dims(mean, axis), 0.0) ** 2
        deviation = np.sqrt(squares.sum(axis=axis) / np.where(runs > 1, runs - 1, np.nan))
        half = stdtrit(np.maximum(runs - 1, 1), (1 + level) / 2) * deviation / np.sqrt(np.maximum(runs, 1))
    return Interval(mean, mean - half, mean + half, runs)


def compare_rules(
    rules: Mapping[str, Mapping[str, Any]],
    measure: Callable[[Experiment], Mapping[str, float]],
    *,
    recipe: str | Recipe = "ring",
    settings: Mapping[str, Any] | None = None,
    evaluations: float = 10_000,
    points: int = 10,
    seeds: Iterable[int] = range(5),
) -> Comparison:
    """Train a recipe with several rules, and measure when they have spent as much.

    Nothing is written. The cost of a step is `Rule.evaluations`; that of the alternating step with `n_critic` turns of
    D is (n_critic + 1) / 2.

    Parameters
    ----------
    rules : mapping of str to mapping
        Settings of each, by a label: ``{"extragradient": {"rule": "extragradient", "generator": {"lr": 1e-4}}}``.
    measure : callable
        ``measure(experiment)`` gives numbers by name, the same names each time; what it draws from
        ``experiment.sampler()`` changes nothing.
    recipe : str or Recipe
    settings : mapping, optional
        Of all, under those of each.
    evaluations : float
        To spend in each run.
    points : int
        How often to measure after the beginning, at equal distances.
    seeds : iterable of int
        A run each.

    Raises
    ------
    ConfigError
        Settings that make no sense.
    """
    own = recipe if isinstance(recipe, Recipe) else get_recipe(recipe)

    def begin(label: str, seed: int) -> _Run:
        config = resolve(own, override(settings or {}, merge(rules[label], {"seed": seed})))
        experiment = Experiment(config, own)

        def cost() -> float:
            moving = experiment.rule
            return moving.rule.evaluations if isinstance(moving, MiniBatches) else (moving.n_critic + 1) / 2

        return _Run(experiment.step, cost, lambda: measure(experiment), experiment.close)

    return _compare(tuple(rules), begin, evaluations, points, seeds)


def compare_on_game(
    rules: Mapping[str, Mapping[str, Any]],
    make: Callable[[int], DifferentiableGame],
    measure: Callable[[DifferentiableGame], Mapping[str, float]],
    *,
    evaluations: float = 1000,
    points: int = 10,
    seeds: Iterable[int] = range(5),
) -> Comparison:
    """As `compare_rules`, of a game whose batch is fixed, such as an analytic one.

    Parameters
    ----------
    rules : mapping of str to mapping
        Arguments of `get_rule` for each, by a label: ``{"slow": {"name": "extragradient", "lr": 0.1}}``.
    make : callable
        ``make(seed)`` gives the game where it begins.
    measure : callable
        ``measure(game)`` gives numbers by name.
    evaluations, points, seeds
        See `compare_rules`.
    """

    def begin(label: str, seed: int) -> _Run:
        game = make(seed)
        rule = get_rule(game=game, **rules[label])

        return _Run(lambda step: rule.step(game), lambda: rule.evaluations, lambda: measure(game), lambda: None)

    return _compare(tuple(rules), begin, evaluations, points, seeds)


@dataclass
class _Run:
    advance: Callable[[int], object]  # does the step of that number
    cost: Callable[[], float]  # of the step before, or of the first, in evaluations
    measure: Callable[[], Mapping[str, float]]
    close: Callable[[], None]


@dataclass(frozen=True)
class _Look:
    step: int
    spent: float
    values: Mapping[str, float]


def _compare(
    labels: tuple[str, ...], begin: Callable[[str, int], _Run], evaluations: float, points: int, seeds: Iterable[int]
) -> Comparison:
    seeds = tuple(whole("seeds", seed) for seed in seeds)
    if not labels or not seeds:
        raise ConfigError(f"there are {len(labels)} rules and {len(seeds)} seeds, expected some of each")
    budgets = np.linspace(0.0, number("evaluations", evaluations, above=0), whole("points", points, least=1) + 1)
    found: dict[tuple[str, int], list[_Look]] = {}
    failures: dict[tuple[str, int], str] = {}
    for label in labels:
        for seed in seeds:
            run, looks = begin(label, seed), found.setdefault((label, seed), [])
            try:
                _spend(run, budgets, looks)
            except (NonFiniteError, ConvergenceError) as error:
                failures[label, seed] = str(error)
            finally:
                run.close()
    quantities = next((tuple(looks[0].values) for looks in found.values() if looks), ())
    values = np.full((len(labels), len(seeds), len(budgets), len(quantities)), np.nan)
    spent, steps = np.full(values.shape[:3], np.nan), np.zeros(values.shape[:3], np.int64)
    for (label, seed), looks in found.items():
        i, j = labels.index(label), seeds.index(seed)
        for t, look in enumerate(looks):
            values[i, j, t] = [look.values[name] for name in quantities]
            spent[i, j, t], steps[i, j, t] = look.spent, look.step
    return Comparison(labels, quantities, seeds, budgets, values, spent, steps, failures)


def _spend(run: _Run, budgets: Array, looks: list[_Look]) -> None:
    """Step while the budget allows one more, and look; then the next budget."""
    spent, step = 0.0, 0
    for budget in budgets:
        while spent + run.cost() <= budget * (1 + 1e-9):
            with np.errstate(all="ignore"):  # what is not finite is found, and named
                run.advance(step)
            spent += run.cost()
            step += 1
        looks.append(_Look(step, spent, run.measure()))
