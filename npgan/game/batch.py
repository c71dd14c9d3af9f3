"""The game of two networks on one batch: its field, and products with its Jacobian by the R-maps.

With S the scores and ℓ the loss's function of them, a product with the second derivative of ℓ(S(θ)) is R{backward}
along the direction, seeded with rdS = ℓ'' rS (Pearlmutter 1994). J u runs L_D's Passes and L_G's once each, since the
directions of a row add up before them. Jᵀ u is made of the gradients of <u_D, ∂L_D/∂θ_D> and <u_G, ∂L_G/∂θ_G> by both
players' weights, so L_D is seeded with (u_D, 0) and L_G with (0, u_G). In units of a network's matrix products a
gradient is 10, J u 22 and Jᵀ u 24; forward and backward run once for all products at a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import isfinite
from typing import TYPE_CHECKING

from npgan.backend.base import Array
from npgan.errors import NonFiniteError, SecondOrderError, ShapeError
from npgan.game.differentiable import PLAYERS, DifferentiableGame, Pair, player_index
from npgan.losses import Term
from npgan.network import Pass
from npgan.penalties import Curvature, GradientPenalty, Penalized

if TYPE_CHECKING:
    from npgan.game.game import Game


class BatchGame(DifferentiableGame):
    """A `Game` whose batch is held fixed, made by `Game.on`.

    The field is a function of the weights alone: the same batch, dropout's masks and penalties' points every time.
    Unless it is for `training`, running statistics stay as they are, and a lazy penalty counts with its mean over the
    turns. The point is where the two
    networks are, so what moves them moves this. Several may share a Game; each runs its Passes again after another.

    Parameters
    ----------
    game : Game
        Of order 2 for anything but `gradient` and `losses`.
    x : array (N, *sample)
        Real samples; copied.
    z : array (N, *latent)
        The generator's input; copied.
    labels : array (N,), optional
    step : int
        Dropout's masks and penalties' points are a function of it.
    training : bool
        For a rule that trains: running statistics are updated at every point that is visited, and a lazy penalty is
        charged in its turns alone.
    """

    def __init__(
        self, game: Game, x: Array, z: Array, labels: Array | None = None, step: int = 0, training: bool = False
    ) -> None:
        self.game, self.step, self.training = game, step, training
        for what, given, shape in (("x", x, game.discriminator.input_shape), ("z", z, game.generator.input_shape)):
            if getattr(given, "shape", None) != (game.batch, *shape):
                raise ShapeError(f"{what} is {getattr(given, 'shape', given)}, expected {(game.batch, *shape)}")
        self.x, self.z = x.copy(), z.copy()
        self.labels = None if labels is None else labels.copy()
        self.backend, self.dtype = game.generator.backend, game.generator.dtype
        self.networks = game.discriminator, game.generator
        self.sizes = game.discriminator.size, game.generator.size
        self._vectors: dict[tuple[str, int], Array] = {}
        self._found: list[Array | None] = [None, None]  # the field's two parts
        self._loss = [0.0, 0.0]
        self._crossed: Array | None = None  # ∂L_G/∂θ_D
        self._versions = (-1, -1)
        self._curvatures: dict[Pass, Array] = {}
        self._curvatures_of_penalties: list[Curvature] | None = None

    @property
    def theta(self) -> Array:  # noqa: D102
        return self._join((self.networks[0].theta, self.networks[1].theta))

    def write(self, player: str) -> AbstractContextManager[Array]:  # noqa: D102
        return self.networks[player_index(player)].write()

    def at(self, theta: Array) -> BatchGame:  # noqa: D102
        found = self.penalized([each.penalty for each in self.game.penalties])
        found.load(theta)
        return found

    def penalized(self, penalties: Sequence[GradientPenalty]) -> BatchGame:
        """Return the same game at the same point with other penalties, and with memory of its own."""
        game = self.game
        D, G = (network.clone() for network in self.networks)
        twin = type(game)(G, D, game.loss, game.batch, penalties=penalties, random=game.random, order=game.order)
        return twin.on(self.x, self.z, self.labels, step=self.step, training=self.training)

    # ---------------------------------------------------------------- first order

    def losses(self) -> tuple[float, float]:  # noqa: D102
        return self._take(0)[0], self._take(1)[0]

    def _gradient(self, player: int) -> Array:
        return self._take(player)[1].copy()

    def _take(self, player: int) -> tuple[float, Array]:
        """Return a player's loss and gradient at the point; the Passes keep what products need."""
        self._look()
        found = self._found[player]
        if found is None:
            loss, found = self._run(player)
            if not (isfinite(loss) and bool(self.backend.xp.isfinite(found).all())):
                self._explain(player)
            self._found[player], self._loss[player] = found, loss
        return self._loss[player], found

    def _look(self) -> None:
        """Run G if it has moved, or if the Passes hold something else; forget what no longer holds."""
        D, G = self.networks
        mine, (version_d, version_g) = self.game.held is self, self._versions
        if not mine or G.version != version_g:
            self.game.generate(self.z, self.labels, self.step, training=self.training)
            self.game.held = self
        elif D.version == version_d:
            return
        elif self.game.order == 1 and self._found[1] is not None:  # G's Pass has gone back, which it can do once
            self.game.generate(self.z, self.labels, self.step, training=False)
            self.game.held = self
        self._versions = D.version, G.version
        self._found, self._crossed = [None, None], None
        self._curvatures.clear()

    def _run(self, player: int) -> tuple[float, Array]:
        out = self._vector("gradient", player)
        if player == 0:
            loss = self.game.discriminator_gradient(out, self.x, self.labels, self.step, training=self.training)
            return float(loss), out
        return float(self.game.generator_gradient(out, self.labels, self.step)), out

    def _explain(self, player: int) -> None:
        """Run again with every array checked."""
        which = f"the gradient of {PLAYERS[player]}"
        self.game.held = None
        try:
            with self.game.checked():
                self.game.generate(self.z, self.labels, self.step, training=False)
                self._run(player)
        except NonFiniteError as found:
            raise NonFiniteError(f"{which}: {found}") from None
        raise NonFiniteError(f"{which} or its loss is not finite, though every array is")

    # ---------------------------------------------------------------- second order

    def _prepare(self) -> None:
        """Bring every Pass to the point, backward and the loss's second derivatives included."""
        game = self.game
        if game.order < 2:
            raise SecondOrderError(
                "products with the Jacobian need the R-maps, and this game was made for gradients alone; "
                "make it with Game(..., order=2)"
            )
        for player in (0, 1):
            self._take(player)
        if not self._curvatures:
            weights = game.weights(self.labels)
            for p, term in self._terms().items():
                self._curvatures[p] = term.curvature(self.backend.empty(p.y.shape, self.dtype), p.y, weights)

    def _terms(self) -> dict[Pass, Term]:
        game = self.game
        return {game.on_real: game.loss.real, game.on_fake: game.loss.fake, game.judge: game.loss.generator}

    def _rscore(self, p: Pass, rx: Array | None, u: Array | None) -> Array:
        """Return ℓ'' rS for a direction of a D Pass's input and weights."""
        return self._curvatures[p] * p.rforward(rx, rtheta=u)

    def _jvp(self, u: Pair, rows: tuple[bool, bool]) -> Pair:
        self._prepare()
        game, (u_d, u_g) = self.game, self._direction(u)
        moved = game.fake.rforward(rtheta=u_g)
        rfake = None if u_g is None else moved
        out_d, out_g = self._outputs(rows)
        if out_d is not None:
            if u_d is not None:
                game.on_real.rbackward(self._rscore(game.on_real, None, u_d), rdtheta=out_d, rdx=False)
            rscore = self._rscore(game.on_fake, rfake, u_d)
            game.on_fake.rbackward(rscore, rdtheta=out_d, accumulate=u_d is not None, rdx=False)
            self._penalty_products(u_d, rfake, out_d)
        if out_g is not None:
            both = out_d is not None and game.shares  # then on_fake's rforward was the judge's
            rscore = self._curvatures[game.judge] * game.judge.ry if both else self._rscore(game.judge, rfake, u_d)
            game.fake.rbackward(game.judge.rbackward(rscore), rdtheta=out_g, rdx=False)
        return self._fresh((out_d, out_g))

    def _vjp(self, u: Pair, columns: tuple[bool, bool]) -> Pair:
        self._prepare()
        game, (u_d, u_g) = self.game, self._direction(u)
        out_d, out_g = self._outputs(columns)
        rdfake: Array | None = None
        if u_d is not None:
            if out_d is not None:
                game.on_real.rbackward(self._rscore(game.on_real, None, u_d), rdtheta=out_d, rdx=False)
            rscore = self._rscore(game.on_fake, None, u_d)
            rdfake = game.on_fake.rbackward(rscore, rdtheta=out_d, accumulate=True, rdx=out_g is not None)
            through = self._penalty_products(u_d, None, out_d)
            rdfake = rdfake if through is None or rdfake is None else rdfake + through
        moved = game.fake.rforward(rtheta=u_g)
        if u_g is not None:
            rscore = self._rscore(game.judge, moved, None)
            rdx = game.judge.rbackward(rscore, rdtheta=out_d, accumulate=u_d is not None, rdx=out_g is not None)
            rdfake = rdx if rdfake is None or rdx is None else rdfake + rdx
        if out_g is not None:  # linear in what comes from D, so both losses' parts go back at once
            game.fake.rbackward(rdfake, rdtheta=out_g, rdx=False)
        return self._fresh((out_d, out_g))

    def _cross_gradient(self, player: int) -> Array:
        self._prepare()
        game = self.game
        out = self._vector("cross", player)
        if player == 0:
            if self._crossed is None:
                _, dscore = game.term(game.loss.generator, game.judge.y, self.labels)
                game.judge.backward(dscore, dtheta=out)
                self._crossed = out
            return self._crossed.copy()
        game.fake.rforward()  # nothing moves: rbackward is backward then, and L_G's own stays what it was
        game.fake.rbackward(self._dfake(), rdtheta=out, rdx=False)
        return out.copy()

    def _dfake(self) -> Array:
        """Return the gradient of L_D, penalties and all, by the generated samples."""
        dfake = self.game.dfake
        assert dfake is not None
        for penalized in self.game.penalties:
            dx, scale = self.backend.empty(self.x.shape, self.dtype), self._charge(penalized)
            points = self._points(penalized, self.game.fake.y)
            penalized.at(points, None, self._condition, scale=scale, dx=dx, step=self.step)
            dfake = dfake + self._points(penalized, dx, direction=True)
        return dfake

    def _cross_jvp(self, u: Pair, player: int) -> Array:
        self._prepare()
        game, (u_d, u_g) = self.game, u
        out = self.backend.empty((self.sizes[player],), self.dtype)
        if player == 0:
            rfake = game.fake.rforward(rtheta=u_g)
            game.judge.rbackward(self._rscore(game.judge, rfake, u_d), rdtheta=out, rdx=False)
            return out
        rfake = game.fake.rforward(rtheta=u_g)
        rdfake = game.on_fake.rbackward(self._rscore(game.on_fake, rfake, u_d))
        through = self._penalty_products(u_d, rfake, None)
        assert rdfake is not None
        rdfake = rdfake.copy() if through is None else rdfake + through
        try:  # G's R-maps go with the gradient that went back through it last: L_D's here, L_G's everywhere else
            game.fake.backward(self._dfake(), dtheta=self.backend.empty((self.sizes[1],), self.dtype), dx=False)
            game.fake.rforward(rtheta=u_g)
            game.fake.rbackward(rdfake, rdtheta=out, rdx=False)
        finally:
            game.held = None  # so that the Passes run again
        return out

    def _penalty_products(self, u_d: Array | None, rfake: Array | None, out_d: Array | None) -> Array | None:
        """Add the penalties' part of a product to out_d; return that of ∂<u_D, ∂P/∂θ_D> by the generated samples."""
        through: Array | None = None
        if self._curvatures_of_penalties is None:
            self._curvatures_of_penalties = [
                Curvature(each.penalty, self.networks[0], self.game.batch) for each in self.game.penalties
            ]
        for penalized, curvature in zip(self.game.penalties, self._curvatures_of_penalties, strict=True):
            ux = None if rfake is None else self._points(penalized, rfake, direction=True)
            if ux is not None and not ux.any():  # it is charged at real samples, which stay
                ux = None
            scale = self._charge(penalized)
            if not scale or (u_d is None and ux is None):
                continue
            points = self._points(penalized, self.game.fake.y)
            by_theta, by_x = (
                self.backend.asarray((scale * part).astype(self.dtype))
                for part in curvature.product(points, utheta=u_d, ux=ux, condition=self._condition, step=self.step)
            )
            if out_d is not None:
                out_d += by_theta
            part = self._points(penalized, by_x, direction=True)
            through = part if through is None else through + part
        return through

    def _charge(self, penalized: Penalized) -> float:
        """Return how often a penalty is charged here: what `Game.discriminator_gradient` does."""
        if not self.training:
            return 1.0
        return float(penalized.penalty.every) if penalized.due(self.step) else 0.0

    def _points(self, penalized: Penalized, fake: Array, *, direction: bool = False) -> Array:
        """Return a penalty's points; of a direction (or gradient) of the generated samples, the points'."""
        real = self.backend.zeros(self.x.shape, self.dtype) if direction else self.x
        out = self.backend.empty(self.x.shape, self.dtype)
        return penalized.points(out, real, fake, self.game.random, self.step)

    @property
    def _condition(self) -> Array | None:
        return self.game.given(self.networks[0], self.labels)

    def _vector(self, what: str, player: int) -> Array:
        """Return memory like a player's weights: the same each time, as its views need not be made again then."""
        if (what, player) not in self._vectors:
            self._vectors[what, player] = self.backend.empty((self.sizes[player],), self.dtype)
        return self._vectors[what, player]

    def _direction(self, u: Pair) -> Pair:
        """Return a copy of u in memory that stays."""
        for player, part in enumerate(u):
            if part is not None:
                self._vector("direction", player)[...] = part
        d, g = (None if part is None else self._vector("direction", player) for player, part in enumerate(u))
        return d, g

    def _outputs(self, wanted: tuple[bool, bool]) -> Pair:
        d, g = (self._vector("product", player) if want else None for player, want in enumerate(wanted))
        return d, g

    @staticmethod
    def _fresh(found: Pair) -> Pair:
        """Return a product that the next does not overwrite; that of both players is copied when they are joined."""
        d, g = found
        if d is not None and g is not None:
            return found
        return None if d is None else d.copy(), None if g is None else g.copy()
