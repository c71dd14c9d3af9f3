"""A rule that trains: each of its steps on fresh mini-batches, with what players have beside a rule."""

from __future__ import annotations

from collections.abc import Iterator

from npgan.backend.base import Array
from npgan.backend.random import Random
from npgan.errors import ConfigError, ConvergenceError, NonFiniteError
from npgan.game.alternating import Data
from npgan.game.batch import BatchGame
from npgan.game.game import Game, Latent
from npgan.game.player import Player
from npgan.game.rule import Limits, Rule
from npgan.optimizers import norm

_METRICS = ("loss_d", "loss_g", "score_real", "score_fake", "grad_norm_d", "grad_norm_g", "penalty")


class MiniBatches:
    """The training step of any rule, as `Alternating` is that of one.

    A step takes the rule's `batches`: one, on which all its evaluations are made, but two for extragradient and k for
    lookahead, as in their papers. Real samples, latents, dropout's masks and a lazy penalty's turns are functions of
    the step's number. Running statistics learn at every point that the rule looks at. Learning rates follow the
    players' schedules, and the rule sees their limits.

    Parameters
    ----------
    game : Game
        Of order 2 for a rule that needs it.
    rule : Rule
        With the optimizers of the discriminator and the generator.
    generator, discriminator : Player
    latent : Latent
    random : Random
        Of the noise: a function of the step.

    Raises
    ------
    ConfigError
        The latent is not what G takes, or the rule's optimizers are not the players'.
    """

    def __init__(
        self, game: Game, rule: Rule, generator: Player, discriminator: Player, latent: Latent, random: Random
    ) -> None:
        if latent.shape != game.generator.input_shape:
            raise ConfigError(f"the latent is {latent.shape}, but the generator takes {game.generator.input_shape}")
        if rule.optimizers != (discriminator.optimizer, generator.optimizer):
            raise ConfigError(f"rule {rule} has other optimizers than the players: make it with D's and G's")
        self.game, self.rule, self.G, self.D, self.latent, self.random = (
            game,
            rule,
            generator,
            discriminator,
            latent,
            random,
        )
        rule.limits = Limits(discriminator.limit, discriminator.bound), Limits(generator.limit, generator.bound)
        self._z = game.generator.backend.empty((game.batch, *latent.shape), game.generator.dtype)

    def step(self, step: int, data: Data) -> dict[str, float]:
        """Run training step number `step`, from 0; return what its first evaluations found.

        They are the metrics of `Alternating`, where the rule looked first, but a lazy penalty's in its turns alone.

        Raises
        ------
        NonFiniteError
            A loss, a gradient or what the rule makes of it is not finite; the message names the first bad array.
        ConvergenceError
            The rule solves for its step, and did not find it.
        """
        rule, fields = self.rule, self._fields(step, data)
        rule.rates = self.D.rate(step), self.G.rate(step)
        rule.fresh = lambda: next(fields)
        first = next(fields)
        try:
            rule.step(first)
        except (NonFiniteError, ConvergenceError) as error:
            what = str(error).removeprefix(f"rule {rule}: ")  # which some of them begin with
            raise type(error)(f"step {step}, rule {rule}: {what}") from None
        finally:
            rule.fresh = None
        for player in (self.D, self.G):
            if player.ema is not None:
                player.ema.update(player.network.theta)
        return {name: first.found[name] for name in _METRICS if name in first.found}

    def _fields(self, step: int, data: Data) -> Iterator[_Field]:
        """Yield the game on the step's mini-batches, one after the other."""
        rule = self.rule
        for i in range(rule.batches):
            batch = step * rule.batches + i
            turn = step * rule.rounds + i * rule.rounds // rule.batches
            x, labels = data(batch)
            yield _Field(self.game, x, self.latent.draw(self._z, self.random, "latent", batch), labels, turn, True)


class _Field(BatchGame):
    """A mini-batch's, which keeps what each player's first gradient on it was."""

    def __init__(self, game: Game, x: Array, z: Array, labels: Array | None, step: int, training: bool) -> None:
        super().__init__(game, x, z, labels, step, training)
        self.found: dict[str, float] = {}

    def _run(self, player: int) -> tuple[float, Array]:
        loss, gradient = super()._run(player)
        name, game = "dg"[player], self.game
        if f"loss_{name}" not in self.found:
            self.found |= {f"loss_{name}": loss, f"grad_norm_{name}": float(norm(gradient, backend=self.backend))}
            if player == 0:
                self.found |= {"score_real": float(game.score_real), "score_fake": float(game.score_fake)}
                if any(each.due(self.step) for each in game.penalties):  # else it is of an earlier step
                    self.found["penalty"] = float(game.penalty)
        return loss, gradient
