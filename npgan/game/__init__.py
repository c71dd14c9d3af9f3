"""Two players: the gradients of the minimax game, its Jacobian, and the rules that update by them."""

from npgan.game.alternating import Alternating
from npgan.game.analytic import AnalyticGame, GaussianGame, QuadraticGame, bilinear_game
from npgan.game.batch import BatchGame
from npgan.game.descent import AlternatingDescent, SimultaneousDescent
from npgan.game.differentiable import PLAYERS, DifferentiableGame, dense
from npgan.game.dirac import dirac_gan
from npgan.game.game import Game, Latent
from npgan.game.minibatch import MiniBatches
from npgan.game.player import Player
from npgan.game.recorded import Steps
from npgan.game.rule import Rule
from npgan.game.rules import RULES, get_rule, make_rule
from npgan.game.tangent import Tangent

__all__ = [
    "PLAYERS",
    "RULES",
    "Alternating",
    "AlternatingDescent",
    "AnalyticGame",
    "BatchGame",
    "DifferentiableGame",
    "Game",
    "GaussianGame",
    "Latent",
    "MiniBatches",
    "Player",
    "QuadraticGame",
    "Rule",
    "SimultaneousDescent",
    "Steps",
    "Tangent",
    "bilinear_game",
    "dense",
    "dirac_gan",
    "get_rule",
    "make_rule",
]
