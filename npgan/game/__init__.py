"""Two players: the gradients of the minimax game, its Jacobian, and the rules that update by them."""

from npgan.game.alternating import Alternating
from npgan.game.batch import BatchGame
from npgan.game.differentiable import DifferentiableGame, dense
from npgan.game.game import Game, Latent
from npgan.game.player import Player

__all__ = ["Alternating", "BatchGame", "DifferentiableGame", "Game", "Latent", "Player", "dense"]
