"""The minimax game between two networks: each player's loss and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from npgan.backend.base import Array, Scalar, Shape
from npgan.backend.random import Random
from npgan.backend.recording import Step
from npgan.errors import ConfigError
from npgan.game.batch import BatchGame
from npgan.losses import Loss, Term
from npgan.network import Arena, Network, Pass
from npgan.network.watch import raise_non_finite
from npgan.penalties import GradientPenalty, Penalized

_SMALL = 1 << 21  # bytes of a Pass: with more, what two of them keep does not stay in the caches of two cores


@dataclass(frozen=True)
class Latent:
    """What the generator's input is drawn from.

    Parameters
    ----------
    shape : tuple of int
        Of one sample.
    distribution : {"normal", "uniform"}
        N(0, 1), or uniform in (-1, 1).
    """

    shape: Shape
    distribution: str = "normal"

    def __post_init__(self) -> None:
        if self.distribution not in ("normal", "uniform"):
            raise ConfigError(f'latent.distribution is {self.distribution!r}, expected "normal" or "uniform"')

    def draw(self, out: Array, random: Random, stream: str, step: Step) -> Array:
        """Fill `out` (N, *shape): a function of the seed, the stream and the step alone."""
        if self.distribution == "normal":
            return random.normal(out, stream, step)
        return random.uniform(out, stream, step, low=-1.0, high=1.0)


class Game:
    """Generator against discriminator, at one batch size, with the memory of a whole training step.

    L_D = mean real(D(x)) + mean fake(D(G(z))) + penalties,  L_G = mean generator(D(G(z))); the loss gives the three
    functions. To train, `generate` and take the players' gradients in turn; to look at the field and its Jacobian on
    one batch, `on(x, z)`.

    Parameters
    ----------
    generator, discriminator : Network
        On one backend, in one dtype; G's output is D's input. D ends in logits.
    loss : Loss
    batch : int
    penalties : sequence of GradientPenalty
        On D.
    random : Random, optional
        Of the points where penalties are evaluated; by default D's.
    order : {1, 2}
        1: gradients, with all Passes in one region of memory. 2: products with the Jacobian too, with the memory of
        the R-maps, and each Pass in a region of its own, as they must outlive each other.

    Raises
    ------
    ConfigError
        Players that do not fit; a loss or penalty that is none.
    SecondOrderError
        A layer without R-maps, where they are needed: for order 2, or for a penalty.

    Attributes
    ----------
    score_real, score_fake : Scalar
        Mean logit of the last turn of D.
    penalty : Scalar
        Sum of the penalties of the last turn in which one was evaluated.
    """

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
        loss: Loss,
        batch: int,
        *,
        penalties: Sequence[GradientPenalty] = (),
        random: Random | None = None,
        order: int = 1,
    ) -> None:
        G, D = generator, discriminator
        if not isinstance(loss, Loss):
            raise ConfigError(f"the game's loss is {loss!r}, expected a Loss; get_loss makes one of a name")
        for each in penalties:
            if not isinstance(each, GradientPenalty):
                raise ConfigError(f"penalties has {each!r}, expected GradientPenalty; get_penalty makes one of a name")
        if order not in (1, 2):
            raise ConfigError(f"the game's order is {order!r}, expected 1 (gradients) or 2 (and their Jacobian)")
        if G.output_shape != D.input_shape:
            raise ConfigError(f"{G.name} makes {G.output_shape}, but {D.name} takes {D.input_shape}")
        if G.dtype != D.dtype:
            raise ConfigError(f"{G.name} computes in {G.dtype}, {D.name} in {D.dtype}; give both one dtype")
        if G.backend.xp is not D.backend.xp:
            raise ConfigError(f"{G.name} is on the {G.backend.name} backend, {D.name} on {D.backend.name}")
        self.generator, self.discriminator, self.loss, self.batch = G, D, loss, batch
        self.order = order
        self.fake = G.new_pass(batch, order=order, name="fake")
        # In training D's Passes follow one another, between G's forward and its backward.
        shared = self.fake.meanwhile if order == 1 else Arena(G.backend)
        arena = shared if order == 1 else None
        self.on_real, self.on_fake = (
            D.new_pass(batch, order=order, arena=arena, name=name) for name in ("on_real", "on_fake")
        )
        # A small stack takes both together: threads wait for each other half as often, and add their sums up once.
        together = order == 1 and self.on_real.stacked and self.on_real.nbytes <= _SMALL
        self.on_both = D.new_pass(2 * batch, arena=arena, name="on_both") if together else None
        # At one point both losses read the same scores of the fakes; in training D moves in between.
        self.shares = order == 2 and self.on_fake.repeatable
        if self.shares:
            self.judge = self.on_fake.twin("judge")
        else:
            self.judge = D.new_pass(batch, order=order, arena=arena, name="judge")
        self._seen = -1  # D's version when it saw these fakes, where one time does for both
        self.penalties = [Penalized(penalty, D, batch, shared) for penalty in penalties]
        self.random = random or D.random
        self.score_real: Scalar = float("nan")
        self.score_fake: Scalar = float("nan")
        self.penalty: Scalar = 0.0
        self.dfake: Array | None = None  # the gradient of L_D, without penalties, by the generated samples; of order 2
        self.held: BatchGame | None = None  # whose arrays are in the Passes, where it is not a training step's

    @cached_property
    def _dscore(self) -> Array:
        n = self.batch if self.on_both is None else 2 * self.batch
        return self.generator.backend.empty((n, *self.discriminator.output_shape), self.generator.dtype)

    @cached_property
    def _weights(self) -> Array:
        return self.generator.backend.empty((self.batch,), self.generator.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes that a step needs beside weights and gradients; they are taken when it first runs."""
        regions = {p.arena.root for p in self._passes()}
        return sum(region.nbytes for region in regions) + sum(each.nbytes for each in self.penalties)

    def resized(self, batch: int) -> Game:
        """Return the same game at another batch size, which takes no memory before it runs: see `nbytes`."""
        penalties = [each.penalty for each in self.penalties]
        return Game(
            self.generator,
            self.discriminator,
            self.loss,
            batch,
            penalties=penalties,
            random=self.random,
            order=self.order,
        )

    def on(
        self, x: Array, z: Array, labels: Array | None = None, *, step: int = 0, training: bool = False
    ) -> BatchGame:
        """Return the game on one batch, real x (N, *sample) and latents z (N, *latent): a `DifferentiableGame`."""
        return BatchGame(self, x, z, labels, step, training)

    def generate(self, z: Array, labels: Array | None, step: Step, *, training: bool = True) -> Array:
        """Run G on z (N, *latent) and keep what its gradient needs.

        With ``training=False`` running statistics stay as they are, here and below.
        """
        self.held, self._seen = None, -1
        return self.fake.forward(z, self.given(self.generator, labels), step=step, update_stats=training)

    def discriminator_gradient(
        self, out: Array, x: Array, labels: Array | None, step: Step, *, training: bool = True
    ) -> Scalar:
        """Write dL_D/dtheta_D to `out` for the real batch x and the fakes of the last `generate`; return L_D.

        A lazy penalty is charged in its turns, k-fold; with ``training=False`` it is charged always, once.
        """
        condition = self.given(self.discriminator, labels)
        if self.on_both is None:
            score = self.on_real.forward(x, condition, step=step, update_stats=training)
            loss, dscore = self.term(self.loss.real, score, labels)
            self.score_real = self._mean(score)
            self.on_real.backward(dscore, dtheta=out, dx=False)
            score = self._judge_fakes(self.on_fake, condition, step, training)
            value, dscore = self.term(self.loss.fake, score, labels)
            self.score_fake = self._mean(score)
            self.dfake = self.on_fake.backward(dscore, dtheta=out, accumulate=True, dx=self.order == 2)
        else:
            score = self.on_both.forward((x, self.fake.y), condition, step=step)
            loss, _ = self.term(self.loss.real, score[: self.batch], labels)
            value, _ = self.term(self.loss.fake, score[self.batch :], labels, self.batch)
            self.score_real, self.score_fake = self._mean(score[: self.batch]), self._mean(score[self.batch :])
            self.on_both.backward(self._dscore, dtheta=out, dx=False)
        loss = loss + value
        due = [each for each in self.penalties if not training or each.due(step)]
        if due:
            charged = [
                each.add_gradient(out, x, self.fake.y, condition, self.random, step, lazy=training) for each in due
            ]
            self.penalty = sum(charged[1:], start=charged[0])
            loss = loss + self.penalty
        return loss

    def generator_gradient(self, out: Array, labels: Array | None, step: Step) -> Scalar:
        """Write dL_G/dtheta_G to `out` for the fakes of the last `generate`; return L_G.

        D's weight gradients are not wanted here, and its running statistics stay: this is not D's turn.
        """
        condition = self.given(self.discriminator, labels)
        score = self._judge_fakes(self.judge, condition, step, False)
        loss, dscore = self.term(self.loss.generator, score, labels)
        dfake = self.judge.backward(dscore)
        assert dfake is not None
        self.fake.backward(dfake, dtheta=out, dx=False)
        return loss

    def _judge_fakes(self, p: Pass, condition: Array | None, step: Step, update_stats: bool) -> Array:
        if self.shares and self._seen == self.discriminator.version:
            return p.y
        self._seen = self.discriminator.version
        return p.forward(self.fake.y, condition, step=step, update_stats=update_stats)

    def term(self, term: Term, score: Array, labels: Array | None, first: int = 0) -> tuple[Scalar, Array]:
        """Return a term of the loss and its gradient by the score, which holds until the next one of that `first`."""
        dscore = self._dscore[first : first + self.batch]
        return term.value_and_gradient(dscore, score, self.weights(labels)), dscore

    def _mean(self, score: Array) -> Scalar:
        value: Scalar = self.discriminator.backend.kernels.reduce.mean(score)
        return value

    def weights(self, labels: Array | None) -> Array | None:
        """Return the samples' class weights (N,), or None where the loss has none."""
        if self.loss.class_weights is None:
            return None
        if labels is None:
            raise ConfigError("the loss has class weights, but the data have no labels")
        return self.loss.weights(labels, self._weights)

    @staticmethod
    def given(network: Network, labels: Array | None) -> Array | None:
        """Return the labels for a network that reads them, None for another."""
        return labels if network.condition_shape is not None else None

    @property
    def stacked(self) -> bool:
        """Whether all Passes are sweeps through stacks of small dense layers (see `Pass.stacked`)."""
        return all(p.stacked for p in self._passes())

    def _passes(self) -> list[Pass]:
        passes = [self.on_real, self.on_fake] if self.on_both is None else [self.on_both]
        return [self.fake, *passes, self.judge, *(each.on_points for each in self.penalties)]

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Check every array of every layer while in the block; the first bad one raises NonFiniteError."""
        passes = self._passes()
        for p in passes:
            p.watch = raise_non_finite
        try:
            yield
        finally:
            for p in passes:
                p.watch = None
