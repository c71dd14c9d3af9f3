"""What a player's weights do to the other's loss, for the rules that ask."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game.differentiable import DifferentiableGame


class Opponent:
    """The cross gradients (∂L_G/∂θ_D, ∂L_D/∂θ_G), or those of the zero-sum game.

    A GAN's L_G leaves out the term of the real samples, as no weight of G is in it; but weights of D are. In the zero-
    sum game, where L_G = -L_D, it is there, and the cross gradients are minus the field.

    Parameters
    ----------
    owner : str
        The rule, for messages.
    zero_sum : bool
    """

    def __init__(self, owner: str, zero_sum: bool) -> None:
        if not isinstance(zero_sum, bool):
            raise ConfigError(f"rule {owner}: zero_sum is {zero_sum!r}, expected true or false")
        self.zero_sum = zero_sum

    def gradient(self, game: DifferentiableGame, player: str | None = None) -> Array:
        """Return both, or the one by a player's weights."""
        return -game.gradient(player) if self.zero_sum else game.cross_gradient(player)

    def jvp(self, game: DifferentiableGame, u: Array, player: str | None = None) -> Array:
        """Return the derivative of `gradient` along u."""
        return -game.jvp(u, player) if self.zero_sum else game.cross_jvp(u, player)

    def vjp(self, game: DifferentiableGame, u: Array, player: str | None = None) -> Array:
        """Return the transpose of `jvp` times u."""
        if not self.zero_sum:
            return game.cross_vjp(u, player)
        return -(game.vjp(u) if player is None else game.row_vjp(player, u))
