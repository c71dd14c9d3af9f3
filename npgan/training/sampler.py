"""Drawing samples from a generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game import Latent
from npgan.network import Network


class Sampler:
    """A generator, where its latent comes from, and the classes that it was told.

    Parameters
    ----------
    generator : Network
    latent : Latent
    classes : sequence of str, optional
        The names, for a generator that reads labels.
    seed : int
        Of the latents.
    """

    def __init__(self, generator: Network, latent: Latent, classes: Sequence[str] | None, seed: int) -> None:
        self.generator, self.latent, self.classes, self.seed = generator, latent, classes, seed

    def latents(self, n: int, *, seed: int | None = None) -> Array:
        """Return n latents (n, *latent); the first k of n + 1 are the same as the k first of n."""
        if n < 0:
            raise ConfigError(f"n is {n}, expected a number of samples from 0")
        backend = self.generator.backend
        z = backend.empty((n, *self.latent.shape), self.generator.dtype)
        return self.latent.draw(z, backend.random(self.seed if seed is None else seed), "samples", 0)

    def labels(self, n: int) -> Array | None:
        """Return labels so that a picture of n samples has a row for each class, or None where there are none."""
        if self.classes is None:
            return None
        return np.arange(n) // (self.columns(n) or 1)

    def columns(self, n: int) -> int | None:
        """Return the columns of a picture of n samples with a row a class; None where any will do."""
        return None if self.classes is None else -(-n // len(self.classes))

    def draw(self, n: int, *, seed: int | None = None, labels: Array | int | None = None) -> Array:
        """Return n samples (n, *sample_shape) on the host.

        Parameters
        ----------
        n : int
        seed : int, optional
            Of the latents; by default the run's, so that pictures of different steps can be compared.
        labels : int or array (n,), optional
            Which class to make; by default all, in order.
        """
        return self.decode(self.latents(n, seed=seed), labels)

    def decode(self, z: Array, labels: Array | int | None = None) -> Array:
        """Return the samples of the latents z (n, *latent), on the host."""
        n = z.shape[0]
        if self.classes is None:
            if labels is not None:
                raise ConfigError("labels were given, but this generator does not read any")
            given = None
        else:
            chosen = np.asarray(self.labels(n) if labels is None else labels)
            if chosen.dtype.kind not in "iu" or chosen.shape not in ((), (n,)):
                raise ConfigError(
                    f"labels are {chosen.dtype} {chosen.shape}, expected a whole number, or as many as samples: ({n},)"
                )
            if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self.classes)):
                raise ConfigError(
                    f"labels go from {chosen.min()} to {chosen.max()}, expected 0 to {len(self.classes) - 1}"
                )
            given = self.generator.backend.asarray(np.full(n, chosen, np.int64))
        return self.generator.backend.to_host(self.generator(z, given))

    def interpolate(self, rows: int, steps: int, *, seed: int | None = None, label: int | None = None) -> Array:
        """Return walks (rows, steps, *sample_shape) between pairs of latents.

        Along great circles for normal latents, as their length hardly varies (White 2016, "Sampling generative
        networks", section 2.1), in straight lines for uniform ones.
        """
        ends = self.latents(2 * rows, seed=seed).reshape(2, rows, -1)
        t = np.linspace(0.0, 1.0, steps)[None, :, None]
        host = self.generator.backend.to_host(ends).astype(np.float64)
        a, b = host[0][:, None], host[1][:, None]
        if self.latent.distribution == "normal":
            cosine = (a * b).sum(-1, keepdims=True) / np.sqrt(
                (a * a).sum(-1, keepdims=True) * (b * b).sum(-1, keepdims=True)
            )
            angle = np.arccos(np.clip(cosine, -1.0, 1.0))
            sine = np.sin(angle)
            # Through latents in one direction, or in opposite ones, there is no one great circle.
            straight = sine < 1e-6
            sine[straight] = 1.0
            from_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / sine)
            from_b = np.where(straight, t, np.sin(t * angle) / sine)
        else:
            from_a, from_b = 1 - t, t
        walk = from_a * a + from_b * b
        z = self.generator.backend.asarray(walk.reshape(rows * steps, *self.latent.shape), self.generator.dtype)
        labels: Array | int | None = label
        if self.classes is not None and label is None:
            labels = np.repeat(np.arange(rows) % len(self.classes), steps)
        samples = self.decode(z, labels)
        return samples.reshape(rows, steps, *samples.shape[1:])
