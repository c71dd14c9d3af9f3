"""npgan: a GAN engine on NumPy and CuPy with every derivative by hand."""

from npgan._version import __version__

__all__ = ["__version__"]
