"""What an update rule is: a map of weights and memory to the next, and that map's derivative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from npgan.backend.base import Array
from npgan.errors import ConfigError, NonFiniteError, SecondOrderError, ShapeError
from npgan.game.differentiable import PLAYERS, DifferentiableGame, on_host, player_index
from npgan.game.frozen import FrozenStep, freeze, moment
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer, finite, norm
from npgan.options import number

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


# What products cost, in evaluations of the field, by their matrix products (see npgan.game.batch): J u, Jᵀ u, that of
# both off-diagonal blocks or of their transposes, and the cross gradients at a point where the field is known.
JVP, VJP, OFF_DIAGONAL, CROSS = 2.2, 2.4, 1.2, 0.4
_ZERO = {8: 1e-8, 4: 1e-4}  # of float64 and float32, by their bytes: a norm that is 0 up to rounding


@dataclass(frozen=True)
class Limits:
    """What training bounds of one player, in place: each gradient that its optimizer sees, the weights after a move."""

    gradient: Callable[[Array], object]
    weights: Callable[[Array], object]


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
        What a step costs, in evaluations of the whole field: one player's gradient is a half, a product with J is 2.2
        and one with Jᵀ 2.4, by the matrix products that they take. Of a rule that iterates it is the last step's.
    second_order : bool
        Whether a step needs products with the Jacobian.
    batches, rounds : int
        How many mini-batches a step takes in training, and how many steps of another rule it is made of.
    memory : array
        What the rule itself remembers, flat; written in place.
    t : int
        Steps so far, of a rule whose step depends on their number; 0 of the others.
    average : array (P_D + P_G,) or None
        The mean of the iterates, of a rule that keeps one: zeros before its first step.
    fresh : callable or None
        In training, what gives the game on the next mini-batch, for the rules whose papers draw one within a step.
    limits : (Limits, Limits) or None
        Of D and of G, in training.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    evaluations: float = 1.0
    second_order: bool = False
    batches: int = 1
    rounds: int = 1
    t: int = 0
    memory: Array
    fresh: Callable[[], DifferentiableGame] | None = None
    limits: tuple[Limits, Limits] | None = None

    def __init__(self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float]) -> None:
        self.optimizers = optimizers
        d, g = (number(f"rule {self.name}: the rate of {p}", r, least=0) for p, r in zip(PLAYERS, rates, strict=True))
        self.rates = d, g
        self.memory = self._zeros(0)

    @abstractmethod
    def step(self, game: DifferentiableGame) -> None:
        """Move both players once.

        Raises
        ------
        NonFiniteError
            A gradient is not finite; whose turn it was has not moved.
        """

    @abstractmethod
    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        """Return the derivative of a step from where the game is.

        The game may move afterwards: take the points that are needed with `game.at`.
        """

    # ---------------------------------------------------------------- the update map

    def operator(self, game: DifferentiableGame) -> LinearOperator:
        """Return the derivative of a step at the game's point, and at this rule's memory, on host vectors (S,).

        It has products with the transpose too, as singular values need.

        Raises
        ------
        ConfigError
            An optimizer has no linearisation (yet).
        SecondOrderError
            The game was not made for second order.
        """
        self._fit(game)
        linear, rates = self._linearise(game), self.rates

        def product(move: Callable[[Tangent], None], u: Array) -> Array:
            r = self._tangent(u).copy()
            now, self.rates = self.rates, rates
            try:
                move(r)
            finally:
                self.rates = now
            return r.vector

        size = self.state(game).size
        return on_host(
            (size, size), game.backend, game.dtype, partial(product, linear.push), partial(product, linear.pull)
        )

    @property
    def average(self) -> Array | None:
        """See `Rule`."""
        return None

    def _house(self, memory: Array) -> None:
        """Keep what is remembered in this array: a part of the memory of the rule around."""
        self.memory = memory

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
        """Return what the rule itself remembers, flat."""
        return self.memory

    def _load_own(self, own: Array) -> None:
        """Take over what `_own` returned."""
        self.memory[...] = own

    @contextmanager
    def kept(self, game: DifferentiableGame) -> Iterator[None]:
        """Put this rule's memory back when the block is left, and the game to where it was."""
        theta, own, steps = game.theta, self._own(game).copy(), self.t
        memories = self._memories()
        try:
            yield
        finally:
            game.load(theta)
            self._load_own(own)
            self.t = steps
            self._restore(memories)

    def _memories(self) -> list[tuple[dict[str, Array], int]]:
        """Return copies of what the optimizers remember."""
        return [({k: v.copy() for k, v in each.state().items()}, each.t) for each in self.optimizers]

    def _restore(self, memories: list[tuple[dict[str, Array], int]]) -> None:
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
        self._admit(i, gradient)
        with game.write(player) as theta:
            self.optimizers[i].step(theta, gradient, self.rates[i])
            self._bound(i, theta)

    def _descend_both(self, game: DifferentiableGame, field: Array) -> None:
        """Move both players, by directions of a field (P_D + P_G,)."""
        for player, gradient in zip(PLAYERS, game.split(field), strict=True):
            self._descend(game, player, gradient)

    def _direction(self, game: DifferentiableGame, player: str, gradient: Array) -> Array:
        """Return an optimizer's direction, which takes the gradient into its memory; nothing moves."""
        i = player_index(player)
        self._admit(i, gradient)
        return self.optimizers[i].direction(gradient.copy(), gradient, game.split(game.theta)[i])

    def _apply(self, game: DifferentiableGame, player: str, direction: Array) -> None:
        """Move one player along a direction, by its rate."""
        i = player_index(player)
        with game.write(player) as theta:
            self.optimizers[i].apply(theta, direction, self.rates[i])
            self._bound(i, theta)

    def _admit(self, i: int, gradient: Array) -> None:
        """Apply the limits to what an optimizer is about to see; it must be finite."""
        if not finite(gradient, backend=self.optimizers[i].backend):
            raise NonFiniteError(
                f"rule {self.name}: what {PLAYERS[i]} should descend is not finite, though its gradient is"
            )
        if self.limits is not None:
            self.limits[i].gradient(gradient)

    def _bound(self, i: int, theta: Array) -> None:
        if self.limits is not None:
            self.limits[i].weights(theta)

    def _next(self, game: DifferentiableGame) -> DifferentiableGame:
        """Return the game on a fresh mini-batch in training; elsewhere the same."""
        return game if self.fresh is None else self.fresh()

    def _freeze(self, player: str, rate: float | None = None) -> FrozenStep:
        """Return an optimizer's step as a linear map, at this rule's rate unless another is given."""
        i = player_index(player)
        return freeze(self.optimizers[i], self.rates[i] if rate is None else rate)

    def _pull(self, frozen: Sequence[FrozenStep], r: Tangent) -> Array:
        """Take a gradient back through the steps of both players, in place; return that by the field."""
        parts = [each.pull(w, m) for each, w, m in zip(frozen, r.weights, r.momenta, strict=True)]
        found: Array = self.optimizers[0].backend.xp.concatenate(parts)
        return found

    def _zeros(self, size: int) -> Array:
        """Return memory for this rule."""
        return self.optimizers[0].backend.zeros((size,), self.optimizers[0].dtype)

    @property
    def _weights(self) -> int:
        """P_D + P_G."""
        return sum(optimizer.size for optimizer in self.optimizers)

    def _halves(self, vector: Array) -> tuple[Array, Array]:
        """Return views of D's and of G's part of (P_D + P_G,)."""
        d = self.optimizers[0].size
        return vector[:d], vector[d:]

    def _check_zero(self, game: DifferentiableGame, vector: Array, what: str) -> None:
        """Refuse to linearise where what is multiplied with third derivatives of the losses is not 0."""
        size = float(norm(vector, backend=game.backend))
        if not size <= _ZERO[game.dtype.itemsize]:
            raise SecondOrderError(
                f"rule {self.name}: its derivative here has third derivatives of the losses times {what}, whose norm "
                f"is {size:.2g}; there are none, so look at it where that is 0 (find_equilibrium leads to a zero of "
                "the field), or at another rule"
            )

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
