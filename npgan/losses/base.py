"""What a GAN loss is: three scalar functions of a logit, with their first and second derivatives.

    L_D = mean_i w_i real(t_i) + mean_i w_i fake(t'_i)        t = D(x) on real data, t' = D(G(z))
    L_G = mean_i w_i generator(t'_i)

Each player minimises its own. The mean is over all elements of t, whatever its shape, and divides by their
number, not by the sum of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array, Backend
from npgan.errors import ConfigError, DTypeError, ShapeError
from npgan.options import number


@dataclass(frozen=True)
class Term:
    """The mean of one scalar function ``scale l(t)`` over a batch of logits.

    Attributes
    ----------
    name : str
        ``"hinge.real"``: how messages call it.
    formula : str
        The scalar function, to be read.
    backend : Backend
        Where the arrays live.
    function : str
        l's name in ``backend.kernels.loss``; its curvature is ``function + "_curvature"``.
    scale : float
    options : tuple of float
        What l takes after t: a target, a sign.
    """

    name: str
    formula: str
    backend: Backend
    function: str
    scale: float = 1.0
    options: tuple[float, ...] = ()

    def value_and_gradient(self, dt: Array, t: Array, weights: Array | None = None) -> float:
        """Write the gradient of the mean with respect to t, and return the mean.

        Parameters
        ----------
        dt : array (N, ...)
            Overwritten: ``w l'(t) / n``, n the number of elements of t. May be `t` itself.
        t : array (N, ...)
            Logits (scores of a critic).
        weights : array (N,), optional
            One a sample, of t's dtype; ones by default.

        Returns
        -------
        float
            ``sum(w l(t)) / n``, summed in float64 (on the GPU an array of shape (), so that nobody has to
            wait).

        Raises
        ------
        ShapeError, DTypeError
            `dt` or `weights` does not fit `t`, or `t` is empty.
        """
        factor = self._check("dt", dt, t, weights)
        function = getattr(self.backend.kernels.loss, self.function)
        value: float = function(dt, t, weights, factor, *self.options)
        return value

    def curvature(self, out: Array, t: Array, weights: Array | None = None) -> Array:
        """Write the second derivative ``w l''(t) / n`` to `out` and return it.

        It is the diagonal of the mean's Hessian (which has nothing off it), so for the R-maps
        ``rdt = curvature * rt``. At a kink it is 0.

        Parameters
        ----------
        out, t : array (N, ...)
        weights : array (N,), optional

        Raises
        ------
        ShapeError, DTypeError
            As `value_and_gradient`.
        """
        factor = self._check("out", out, t, weights)
        getattr(self.backend.kernels.loss, f"{self.function}_curvature")(out, t, weights, factor, *self.options)
        return out

    def _check(self, what: str, out: Array, t: Array, weights: Array | None) -> float:
        if t.ndim == 0 or t.size == 0:
            raise ShapeError(f"{self.name}: t is {t.shape}, expected (N, ...) with at least one logit")
        if out.shape != t.shape:
            raise ShapeError(f"{self.name}: {what} is {out.shape}, expected {t.shape} as t; no broadcasting here")
        if out.dtype != t.dtype:
            raise DTypeError(f"{self.name}: {what} is {out.dtype}, expected {t.dtype} as t")
        if weights is not None and weights.shape != t.shape[:1]:
            raise ShapeError(f"{self.name}: weights is {weights.shape}, expected {t.shape[:1]}, one a sample")
        if weights is not None and weights.dtype != t.real.dtype:
            raise DTypeError(f"{self.name}: weights is {weights.dtype}, expected {t.real.dtype} as t")
        return self.scale / t.size


class Loss:
    """A GAN's loss: a term for each kind of logit.

    Parameters
    ----------
    name, paper : str
    real, fake : Term
        What the discriminator minimises, on real and on generated data.
    generator : Term
        What the generator minimises.
    equilibrium : float
        The value of L_D where the generated data have the distribution of the real and D is the best there
        is, for weights of 1.
    class_weights : sequence of float, optional
        One a class label, at least 0, not all 0. They are taken as they are; let them average 1 over the data
        to keep the loss's size.

    Raises
    ------
    ConfigError
        Class weights that are empty, negative, not finite or all 0.
    """

    def __init__(
        self,
        name: str,
        paper: str,
        real: Term,
        fake: Term,
        generator: Term,
        equilibrium: float,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.name = name
        self.paper = paper
        self.real = real
        self.fake = fake
        self.generator = generator
        self.equilibrium = equilibrium
        self.class_weights: tuple[float, ...] | None = None
        self._tables: dict[Any, Array] = {}  # of class weights, by dtype
        if class_weights is not None:
            self.class_weights = _class_weights(name, class_weights)

    def weights(self, labels: Array, out: Array) -> Array | None:
        """Write each sample's class weight to `out` and return it.

        Without class weights it returns None and leaves `out` alone: either is what a Term takes as
        `weights`.

        Parameters
        ----------
        labels : integer array (N,)
            From 0 to K - 1, for K class weights.
        out : array (N,)
            Of the logits' dtype.

        Raises
        ------
        ShapeError, DTypeError
            Labels that are not integers (N,), or an `out` of another shape.
        ConfigError
            A label without a weight.
        """
        if self.class_weights is None:
            return None
        if labels.ndim != 1 or out.shape != labels.shape:
            raise ShapeError(f"{self.name}: labels is {labels.shape} and out {out.shape}, expected (N,) for both")
        if labels.dtype.kind not in "iu":
            raise DTypeError(f"{self.name}: labels is {labels.dtype}, expected integers")
        backend = self.real.backend
        if backend.recording is None:  # a recorded step makes NaN of it, and is then run as it is written
            low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
            if low < 0 or high >= len(self.class_weights):
                raise ConfigError(
                    f"{self.name}: labels go from {low} to {high}, but class_weights has "
                    f"{len(self.class_weights)} values, for the labels from 0 to {len(self.class_weights) - 1}"
                )
        if out.dtype not in self._tables:
            self._tables[out.dtype] = backend.asarray(np.reshape(self.class_weights, (-1, 1)), out.dtype)
        backend.kernels.embedding.forward(out[:, None], labels, self._tables[out.dtype])
        return out

    def __repr__(self) -> str:
        terms = ", ".join(
            f"{term.name.split('.')[-1]}: {term.formula}" for term in (self.real, self.fake, self.generator)
        )
        return f"Loss({self.name}, {terms})"


def _class_weights(loss: str, weights: Any) -> tuple[float, ...]:
    try:
        values = [] if isinstance(weights, str) else list(weights)
    except TypeError:
        values = []
    if not values:
        raise ConfigError(f"{loss}: class_weights is {weights!r}, expected a sequence with one number a class")
    found = tuple(number(f"{loss}: class_weights[{i}]", value, least=0) for i, value in enumerate(values))
    if not any(found):
        raise ConfigError(f"{loss}: class_weights are all 0, so that nothing would be learned")
    return found
