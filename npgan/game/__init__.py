"""Two players: the gradients of the minimax game, and the rules that update by them."""

from npgan.game.alternating import Alternating
from npgan.game.game import Game, Latent
from npgan.game.player import Player

__all__ = ["Alternating", "Game", "Latent", "Player"]
