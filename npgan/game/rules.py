"""The update rules by name. A new one is a class in a file of its kind and its line in `RULES`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npgan.errors import ConfigError
from npgan.game.adjusted import Consensus, Hamiltonian, SymplecticAdjustment
from npgan.game.averaged import Averaging, MovingAverage
from npgan.game.competitive import CompetitiveDescent
from npgan.game.descent import AlternatingDescent, SimultaneousDescent
from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.extragradient import Extragradient, ExtrapolationFromPast, Optimistic
from npgan.game.lola import Lola
from npgan.game.lookahead import Lookahead
from npgan.game.momentum import NegativeMomentum
from npgan.game.rule import Rule
from npgan.game.unrolled import Unrolled
from npgan.optimizers import Optimizer, get_optimizer
from npgan.options import make

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        SimultaneousDescent,
        AlternatingDescent,
        NegativeMomentum,
        Extragradient,
        ExtrapolationFromPast,
        Optimistic,
        Consensus,
        SymplecticAdjustment,
        Hamiltonian,
        CompetitiveDescent,
        Lola,
        Unrolled,
        Lookahead,
        Averaging,
        MovingAverage,
    )
}


def get_rule(
    name: str,
    game: DifferentiableGame,
    *,
    lr: float | Sequence[float] = 0.1,
    optimizer: str | Sequence[str] = "sgd",
    optimizer_options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    **options: Any,
) -> Rule:
    """Return the rule of that name, with optimizers that fit the game.

    Parameters
    ----------
    name : str
        A key of `RULES`.
    game : DifferentiableGame
    lr : float or (float, float)
        Learning rate: of both players, or of D and of G.
    optimizer : str or (str, str)
        See `get_optimizer`; of both, or of D and of G.
    optimizer_options : mapping or (mapping, mapping), optional
        ``{"momentum": -0.5}`` is negative momentum, ``{"betas": (0.5, 0.999)}`` goes with ``"adam"``.
    **options
        The rule's own, which its class describes: ``n_critic`` of ``"alternating"``, ``gamma`` of ``"consensus"``.

    Raises
    ------
    ConfigError
        Unknown name or option, or a value out of range.
    """
    made = [
        get_optimizer(each, size, game.dtype, backend=game.backend, **settings)
        for each, settings, size in zip(
            _both("optimizer", optimizer), _both("optimizer_options", optimizer_options or {}), game.sizes, strict=True
        )
    ]
    return make_rule(name, (made[0], made[1]), _both("lr", lr), options)


def make_rule(
    name: str,
    optimizers: tuple[Optimizer, Optimizer],
    rates: tuple[float, float],
    options: Mapping[str, Any] | None = None,
) -> Rule:
    """Return the rule of that name around optimizers that there are; as `get_rule` otherwise."""
    return make("rule", RULES, name, options or {}, optimizers=optimizers, rates=rates)


def _both(what: str, given: Any) -> tuple[Any, Any]:
    """Return what D and G are given: one for both, or one for each."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        return given, given
    if len(given) != len(PLAYERS):
        raise ConfigError(f"{what} is {given!r}, expected one for both players, or two: of D and of G")
    return given[0], given[1]
