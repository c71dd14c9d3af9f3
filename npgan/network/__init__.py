"""Network (flat parameters) and Pass (one call of it, with its memory)."""

from npgan.network.hessian import Hessian
from npgan.network.memory import Arena
from npgan.network.network import Network
from npgan.network.passes import Pass

__all__ = ["Arena", "Hessian", "Network", "Pass"]
