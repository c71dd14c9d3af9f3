"""The alternating step of Goodfellow et al. (2014).

Algorithm 1, for each training iteration:                       here
  for k steps:                                                  n_critic
    sample m noise samples and m examples                       generate, data
    update the discriminator by ascending its
      stochastic gradient                                       discriminator_gradient, update
  sample m noise samples                                        generate (see fresh_noise)
  update the generator by descending its
    stochastic gradient                                         generator_gradient, update
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from npgan.backend.base import Array, Scalar
from npgan.backend.random import Random
from npgan.backend.recording import Step
from npgan.errors import ConfigError, NonFiniteError
from npgan.game.game import Game, Latent
from npgan.game.player import Player

Data = Callable[[int], tuple[Array, Array | None]]  # the number of a batch -> examples, labels
Batches = Callable[[Any], tuple[Array, Array | None]]  # the same, of a Step
Turn = Callable[[bool], Scalar]  # whether it is a replay -> the player's loss; the gradient goes to the player


class Alternating:
    """The rule that trains: k steps of D, one of G.

    Parameters
    ----------
    game : Game
    generator, discriminator : Player
    latent : Latent
    random : Random
        Of the noise: a function of the step.
    n_critic : int
        k, discriminator steps for one of the generator.
    fresh_noise : bool
        Draw new noise for G's turn, as Algorithm 1 says. Otherwise G is judged by the fakes of D's last turn, as in
        the code published with DCGAN: the same gradient in expectation, and one forward pass of G less.
    """

    def __init__(
        self,
        game: Game,
        generator: Player,
        discriminator: Player,
        latent: Latent,
        random: Random,
        *,
        n_critic: int = 1,
        fresh_noise: bool = False,
    ) -> None:
        if n_critic < 1:
            raise ConfigError(f"n_critic is {n_critic}, expected 1 or more")
        if latent.shape != game.generator.input_shape:
            raise ConfigError(f"the latent is {latent.shape}, but the generator takes {game.generator.input_shape}")
        self.game, self.G, self.D, self.latent, self.random = game, generator, discriminator, latent, random
        self.n_critic, self.fresh_noise = n_critic, fresh_noise
        self.backend = game.generator.backend
        self._z = self.backend.empty((game.batch, *latent.shape), game.generator.dtype)

    def step(self, step: int, data: Data) -> dict[str, float]:
        """Run one training iteration, the step-th, from 0; return its losses, scores and gradient norms.

        Raises
        ------
        NonFiniteError
            A loss or gradient is not finite. That player was not updated; the message names the first bad array.
        """
        found, _ = self.iterate(step, data)
        return {name: float(value) for name, value in found.items()}

    def turns(self, step: int) -> range:
        """Return the turns of D in a step, each with a batch of that number."""
        return range(step * self.n_critic, (step + 1) * self.n_critic)

    def _turn(self, step: Step, k: int) -> Step:
        turn: Step = self.backend.live(lambda: self.turns(int(step))[k])
        return turn

    def iterate(self, step: Step, data: Batches) -> tuple[dict[str, Scalar], list[Scalar]]:
        """Do what `step` does; return what it returns, and the losses and norms of D's turns before its last.

        This can be recorded: then `step` is a Live, and nobody knows yet what is finite.
        """
        game, labels = self.game, None
        found_d: list[Scalar] = []
        for k in range(self.n_critic):
            turn = self._turn(step, k)
            x, labels = data(turn)

            def discriminator_turn(
                again: bool, turn: Step = turn, x: Array = x, labels: Array | None = labels
            ) -> Scalar:
                game.generate(self.latent.draw(self._z, self.random, "latent", turn), labels, turn)
                return game.discriminator_gradient(self.D.gradient, x, labels, turn)

            found_d += self._take_turn(self.D, discriminator_turn, step)

        def generator_turn(again: bool) -> Scalar:
            if self.fresh_noise:
                self.latent.draw(self._z, self.random, "latent of G", step)
            if self.fresh_noise or again:  # a Pass goes back once for each time that it went forward
                game.generate(self._z, labels, turn)
            return game.generator_gradient(self.G.gradient, labels, turn)

        loss_g, norm_g = self._take_turn(self.G, generator_turn, step)
        found = {
            "loss_d": found_d[-2],
            "loss_g": loss_g,
            "score_real": game.score_real,
            "score_fake": game.score_fake,
            "grad_norm_d": found_d[-1],
            "grad_norm_g": norm_g,
        }
        if any(each.due(turn) for each in game.penalties for turn in self.turns(int(step))):  # else it is of another
            found["penalty"] = game.penalty
        return found, found_d[:-2]

    def _take_turn(self, player: Player, turn: Turn, step: Step) -> tuple[Scalar, Scalar]:
        """Compute a player's gradient and update it; where something is not finite, find out what and stop."""
        loss = turn(False)
        norm = player.clip()
        if self.backend.recording is None and not (isfinite(loss) and isfinite(norm)):
            self._explain(player, turn, step)
        player.update(step)
        return loss, norm

    def _explain(self, player: Player, turn: Turn, step: Step) -> None:
        """Replay the turn with every array checked. Nothing was updated, and every draw is a function of the step."""
        name = player.network.name
        try:
            with self.game.checked():
                turn(True)
        except NonFiniteError as found:
            raise NonFiniteError(f"step {step}, {name}'s turn: {found}; its weights were not updated") from None
        raise NonFiniteError(
            f"step {step}, {name}'s turn: the loss or the norm of the gradient is not finite, though every array is; "
            "its weights were not updated"
        )
