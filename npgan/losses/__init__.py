"""GAN losses on logits, each with its derivatives by hand."""

from npgan.losses.base import Loss, Term
from npgan.losses.clipping import clip_weights
from npgan.losses.standard import LOSSES, get_loss

__all__ = ["LOSSES", "Loss", "Term", "clip_weights", "get_loss"]
