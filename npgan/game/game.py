"""The minimax game on one batch: each player's loss and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from npgan.backend.base import Array, Shape
from npgan.backend.random import Random
from npgan.errors import ConfigError
from npgan.losses import Loss, Term
from npgan.network import Arena, Network
from npgan.network.watch import raise_non_finite
from npgan.penalties import GradientPenalty, Penalized


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

    def draw(self, out: Array, random: Random, stream: str, step: int) -> Array:
        """Fill `out` (N, *shape): a function of the seed, the stream and the step alone."""
        if self.distribution == "normal":
            return random.normal(out, stream, step)
        return random.uniform(out, stream, step, low=-1.0, high=1.0)


class Game:
    """Generator against discriminator, at one batch size, with the memory of a whole training step.

    L_D = mean real(D(x)) + mean fake(D(G(z))) + penalties,  L_G = mean generator(D(G(z))); the loss gives the three
    functions.

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

    Attributes
    ----------
    score_real, score_fake : float
        Mean logit of the last turn of D.
    penalty : float
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
    ) -> None:
        G, D = generator, discriminator
        if G.output_shape != D.input_shape:
            raise ConfigError(f"{G.name} makes {G.output_shape}, but {D.name} takes {D.input_shape}")
        if G.dtype != D.dtype:
            raise ConfigError(f"{G.name} computes in {G.dtype}, {D.name} in {D.dtype}; give both one dtype")
        if G.backend.xp is not D.backend.xp:
            raise ConfigError(f"{G.name} is on the {G.backend.name} backend, {D.name} on {D.backend.name}")
        self.generator, self.discriminator, self.loss, self.batch = G, D, loss, batch
        # D's three Passes follow one another, so they share one region; G's lives beside the last two.
        shared = Arena(G.backend)
        self.fake = G.new_pass(batch, name="fake")
        self.on_real = D.new_pass(batch, arena=shared, name="on_real")
        self.on_fake = D.new_pass(batch, arena=shared, name="on_fake")
        self.judge = D.new_pass(batch, arena=shared, name="judge")
        self._dscore = G.backend.empty((batch, *D.output_shape), D.dtype)
        self._weights = G.backend.empty((batch,), D.dtype) if loss.class_weights is not None else None
        self.penalties = [Penalized(penalty, D, batch, shared) for penalty in penalties]
        self._random = random or D.random
        self.score_real = self.score_fake = float("nan")
        self.penalty = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes that the Passes of a step hold."""
        return self.fake.nbytes + self.on_real.arena.nbytes

    def generate(self, z: Array, labels: Array | None, step: int) -> Array:
        """Run G on z (N, *latent) and keep what its gradient needs."""
        return self.fake.forward(z, self._given(self.generator, labels), step=step)

    def discriminator_gradient(self, out: Array, x: Array, labels: Array | None, step: int) -> float:
        """Write dL_D/dtheta_D to `out` for the real batch x and the fakes of the last `generate`; return L_D."""
        condition = self._given(self.discriminator, labels)
        score = self.on_real.forward(x, condition, step=step)
        loss, dscore = self._term(self.loss.real, score, labels)
        self.score_real = self._mean(score)
        self.on_real.backward(dscore, dtheta=out, dx=False)
        score = self.on_fake.forward(self.fake.y, condition, step=step)
        value, dscore = self._term(self.loss.fake, score, labels)
        self.score_fake = self._mean(score)
        self.on_fake.backward(dscore, dtheta=out, accumulate=True, dx=False)
        loss += value
        due = [each for each in self.penalties if each.due(step)]
        if due:
            self.penalty = sum(each.add_gradient(out, x, self.fake.y, condition, self._random, step) for each in due)
            loss += self.penalty
        return loss

    def generator_gradient(self, out: Array, labels: Array | None, step: int) -> float:
        """Write dL_G/dtheta_G to `out` for the fakes of the last `generate`; return L_G.

        D's weight gradients are not wanted here, and its running statistics stay: this is not D's turn.
        """
        condition = self._given(self.discriminator, labels)
        score = self.judge.forward(self.fake.y, condition, step=step, update_stats=False)
        loss, dscore = self._term(self.loss.generator, score, labels)
        dfake = self.judge.backward(dscore)
        assert dfake is not None
        self.fake.backward(dfake, dtheta=out, dx=False)
        return loss

    def _term(self, term: Term, score: Array, labels: Array | None) -> tuple[float, Array]:
        weights = None
        if self._weights is not None:
            if labels is None:
                raise ConfigError("the loss has class weights, but the data have no labels")
            weights = self.loss.weights(labels, self._weights)
        value = float(term.value_and_gradient(self._dscore, score, weights))
        return value, self._dscore

    def _mean(self, score: Array) -> float:
        return float(self.discriminator.backend.kernels.reduce.mean(score))

    @staticmethod
    def _given(network: Network, labels: Array | None) -> Array | None:
        return labels if network.condition_shape is not None else None

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Check every array of every layer while in the block; the first bad one raises NonFiniteError."""
        passes = (self.fake, self.on_real, self.on_fake, self.judge, *(each.on_points for each in self.penalties))
        for p in passes:
            p.watch = raise_non_finite
        try:
            yield
        finally:
            for p in passes:
                p.watch = None
