"""What an update rule is: a map of weights and memory to the next, and that map's derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from npgan.backend.base import Array
from npgan.errors import ConfigError, ShapeError
from npgan.game.differentiable import PLAYERS, DifferentiableGame, on_host, player_index
from npgan.game.frozen import FrozenStep, freeze, moment
from npgan.optimizers import Optimizer
from npgan.options import number

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class Tangent:
    """A direction in the space of weights and memory, as one flat vector with views.

    Attributes
    ----------
    vector : array (S,)
        [θ_D, θ_G, momentum of D, momentum of G, the rule's own], of which only what there is.
    theta : array (P_D + P_G,)
    weights : tuple of array
        Each player's part of `theta`.
    momenta : tuple of (array or None)
        Each player's optimizer's.
    own : array
        What the rule remembers beside.
    """

    def __init__(self, vector: Array, sizes: Sequence[int], with_momentum: Sequence[bool]) -> None:
        self._layout = sizes, with_momentum
        self.vector = vector
        p_d, p_g = sizes
        self.theta = vector[: p_d + p_g]
        self.weights = self.theta[:p_d], self.theta[p_d:]
        start, momenta = p_d + p_g, []
        for size, there in zip(sizes, with_momentum, strict=True):
            momenta.append(vector[start : start + size] if there else None)
            start += size if there else 0
        self.momenta = tuple(momenta)
        self.own = vector[start:]

    def copy(self) -> Tangent:
        """Return one of its own, for rules that look ahead and come back."""
        return Tangent(self.vector.copy(), *self._layout)


class Rule(ABC):
    """How both players move. A subclass says what a step is, and how a direction goes through it.

    Its state is what the next step depends on: the weights, which are the game's; what the optimizers remember; and
    what the rule itself does. `operator` is the derivative of one step by that state, with Adam's (and RMSprop's)
    second moments held fixed.

    Parameters
    ----------
    optimizers : (Optimizer, Optimizer)
        Of D and of G. They turn gradients into directions, and belong to this rule.
    rates : (float, float)
        Learning rates of D and of G.

    Attributes
    ----------
    name, paper : str
    evaluations : float
        What a step costs, in evaluations of the whole field; one player's gradient is a half.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    evaluations: float = 1.0

    def __init__(self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float]) -> None:
        self.optimizers = optimizers
        d, g = (number(f"rule {self.name}: the rate of {p}", r, least=0) for p, r in zip(PLAYERS, rates, strict=True))
        self.rates = d, g

    @abstractmethod
    def step(self, game: DifferentiableGame) -> None:
        """Move both players once.

        Raises
        ------
        NonFiniteError
            A gradient is not finite; whose turn it was has not moved.
        """

    @abstractmethod
    def _linearise(self, game: DifferentiableGame) -> Callable[[Tangent], None]:
        """Return what takes a direction of the state through a step from where the game is, in place.

        The game may move afterwards: take the points that are needed with `game.at`.
        """

    # ---------------------------------------------------------------- the update map

    def operator(self, game: DifferentiableGame) -> LinearOperator:
        """Return the derivative of a step at the game's point, and at this rule's memory, on host vectors (S,).

        Raises
        ------
        ConfigError
            An optimizer has no linearisation (yet).
        SecondOrderError
            The game was not made for second order.
        """
        self._fit(game)
        push = self._linearise(game)

        def product(u: Array) -> Array:
            r = self._tangent(u).copy()
            push(r)
            return r.vector

        size = self.state(game).size
        return on_host((size, size), game.backend, game.dtype, product)

    def state(self, game: DifferentiableGame) -> Array:
        """Return what `operator` is the derivative by: a fresh vector [θ_D, θ_G, memory]."""
        momenta = [self._momentum(i) for i in range(2)]
        found: Array = game.backend.xp.concatenate(
            [game.theta, *(m for m in momenta if m is not None), self._own(game)]
        )
        return found

    def load_state(self, game: DifferentiableGame, state: Array) -> None:
        """Move the game, and this rule's memory, to a state."""
        if state.shape != self.state(game).shape:
            raise ShapeError(f"the state is {state.shape}, expected {self.state(game).shape}: [θ_D, θ_G, memory]")
        parts = self._tangent(state)
        game.load(parts.theta)
        for optimizer, momentum in zip(self.optimizers, parts.momenta, strict=True):
            if momentum is not None:
                name = moment(optimizer)
                assert name is not None
                optimizer.load_state({**optimizer.state(), name: momentum}, optimizer.t)
        self._load_own(parts.own)

    def _own(self, game: DifferentiableGame) -> Array:
        """Return what the rule itself remembers, flat: nothing, unless a subclass does."""
        return game.backend.empty((0,), game.dtype)

    def _load_own(self, own: Array) -> None:  # noqa: B027
        """Take over what `_own` returned."""

    @contextmanager
    def kept(self, game: DifferentiableGame) -> Iterator[None]:
        """Put this rule's memory back when the block is left, and the game to where it was."""
        theta, own = game.theta, self._own(game).copy()
        memories = [({k: v.copy() for k, v in each.state().items()}, each.t) for each in self.optimizers]
        try:
            yield
        finally:
            game.load(theta)
            self._load_own(own)
            for optimizer, (moments, t) in zip(self.optimizers, memories, strict=True):
                optimizer.load_state(moments, t)

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """Multiply both learning rates while in the block."""
        rates = self.rates
        self.rates = rates[0] * factor, rates[1] * factor
        try:
            yield
        finally:
            self.rates = rates

    # ---------------------------------------------------------------- for subclasses

    def _descend(self, game: DifferentiableGame, player: str, gradient: Array) -> None:
        """Move one player by its optimizer's direction."""
        i = player_index(player)
        with game.write(player) as theta:
            self.optimizers[i].step(theta, gradient, self.rates[i])

    def _freeze(self, player: str) -> FrozenStep:
        i = player_index(player)
        return freeze(self.optimizers[i], self.rates[i])

    def _fit(self, game: DifferentiableGame) -> None:
        for player, optimizer, size in zip(PLAYERS, self.optimizers, game.sizes, strict=True):
            if optimizer.size != size:
                raise ConfigError(
                    f"rule {self.name}: the optimizer of {player} is for {optimizer.size} weights, the game has {size}"
                )

    def _momentum(self, i: int) -> Array | None:
        name = moment(self.optimizers[i])
        return None if name is None else self.optimizers[i].state()[name]

    def _tangent(self, vector: Array) -> Tangent:
        return Tangent(vector, [o.size for o in self.optimizers], [moment(o) is not None for o in self.optimizers])

    def __str__(self) -> str:
        return self.name
