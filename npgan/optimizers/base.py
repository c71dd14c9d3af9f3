"""What an optimizer is: a direction from a gradient, and the step along it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend
from npgan.backend.recording import Live, Number
from npgan.errors import ConfigError
from npgan.optimizers.groups import Group, Range, Segment, segments
from npgan.optimizers.vectors import check_vector, load_vectors
from npgan.options import number, whole


class Optimizer(ABC):
    """Turns gradients into directions d, for ``theta <- theta - lr d``.

    `direction` and `apply` are for rules that do something between them, such as extragradient; `step` is
    both in one pass over memory. What an optimizer remembers is its own copy, of theta's dtype; it never
    keeps a gradient.

    Parameters
    ----------
    size : int
        P, the number of weights.
    dtype : {"float32", "float64"}
        Of the weights, gradients and moments.
    backend : str or Backend
        Where they live.
    weight_decay : float
        Weight decay of the groups that have none of their own. It is added to the gradient, g + weight_decay theta,
        except by AdamW.
    groups : sequence of Group or mapping, optional
        See `Group`; one group of everything by default.
    names : mapping of str to (start, stop), optional
        The network's parameters, for groups that are patterns.

    Attributes
    ----------
    t : int
        The directions so far.
    segments : tuple of Segment
        What the groups come to.

    Raises
    ------
    ConfigError
        An option out of range, or groups that do not fit.
    DTypeError
        A dtype that the backend does not compute in.
    """

    kernel: str
    moments: tuple[str, ...] = ()

    def __init__(
        self,
        size: int,
        dtype: Any = "float32",
        *,
        backend: str | Backend = "cpu",
        weight_decay: float = 0.0,
        groups: Sequence[Group | Mapping[str, Any]] | None = None,
        names: Mapping[str, Range] | None = None,
    ) -> None:
        self.backend = get_backend(backend)
        self.size = whole(f"{self}: size", size)
        self.dtype = self.backend.check_dtype(dtype)
        self.weight_decay = number(f"{self}: weight_decay", weight_decay, least=0)
        self.segments = segments(self.size, groups, names, self.weight_decay)
        self.t = 0
        self._moments = {name: self.backend.zeros((self.size,), self.dtype) for name in self.moments}
        self._scratch = self.backend.empty((self.backend.kernels.optimizer.workspace(),), self.dtype)

    @abstractmethod
    def _options(self, segment: Segment) -> tuple[Number, ...]:
        """Return what the kernel takes after its arrays, for direction number `t`."""

    def _count(self) -> None:
        self.t += 1

    def direction(self, out: Array, gradient: Array, theta: Array | None = None) -> Array:
        """Take a gradient into the moments, write the direction to `out` and return it.

        Learning-rate factors and weight decay are in it; it is 0 where frozen.

        Parameters
        ----------
        out : array (P,)
            Overwritten. May be the gradient itself.
        gradient : array (P,)
        theta : array (P,), optional
            The weights: needed for weight decay, and for nothing else.

        Raises
        ------
        ShapeError, DTypeError
            An array does not fit.
        ConfigError
            theta was not given and there is weight decay, or `out` is read-only.
        """
        self._check("out", out, writes=True)
        self._check("gradient", gradient)
        if theta is not None:
            self._check("theta", theta)
        elif any(segment.weight_decay and not segment.frozen for segment in self.segments):
            raise ConfigError(f"{self}: there is weight decay, so direction needs theta")
        self.backend.live(self._count)
        kernel = getattr(self.backend.kernels.optimizer, f"{self.kernel}_direction")
        for segment in self.segments:
            part = slice(segment.start, segment.stop)
            if segment.frozen:
                out[part] = 0
                continue
            decayed = theta[part] if theta is not None and segment.weight_decay else None
            kernel(out[part], *self._parts(part), gradient[part], decayed, *self._options(segment))
        return out

    def apply(self, theta: Array, direction: Array, lr: Number) -> None:
        """Write ``theta - lr direction`` to theta, where it is not frozen.

        Raises
        ------
        ShapeError, DTypeError
            An array does not fit.
        ConfigError
            lr is not a finite number, or theta is read-only.
        """
        self._check("theta", theta, writes=True)
        self._check("direction", direction)
        lr = self._rate(lr)
        for segment in self.segments:
            if not segment.frozen:
                part = slice(segment.start, segment.stop)
                self.backend.kernels.optimizer.descend(theta[part], direction[part], lr)

    def step(self, theta: Array, gradient: Array, lr: Number) -> None:
        """`direction`, then `apply`, in one pass that does not write the direction down.

        Raises
        ------
        ShapeError, DTypeError
            An array does not fit.
        ConfigError
            lr is not a finite number, or theta is read-only.
        """
        self._check("theta", theta, writes=True)
        self._check("gradient", gradient)
        lr = self._rate(lr)
        self.backend.live(self._count)
        kernel = getattr(self.backend.kernels.optimizer, f"{self.kernel}_step")
        for segment in self.segments:
            if not segment.frozen:
                part = slice(segment.start, segment.stop)
                moments, options = self._parts(part), self._options(segment)
                kernel(theta[part], self._scratch, *moments, gradient[part], lr, *options)

    def state(self) -> dict[str, Array]:
        """Return the moments by name: views, to be saved together with `t`."""
        return dict(self._moments)

    def load_state(self, state: Mapping[str, Any], t: int) -> None:
        """Copy moments that `state` returned, and its `t`, into this optimizer.

        Raises
        ------
        CheckpointError
            The names are not this optimizer's.
        ShapeError, DTypeError
            A moment does not fit.
        ConfigError
            t is not a whole number from 0.
        """
        t = whole(f"{self}: t", t)
        load_vectors(str(self), self._moments, state, self.backend)
        self.t = t

    def _rate(self, lr: Number) -> Number:
        return lr if isinstance(lr, Live) else number(f"{self}: lr", lr)

    def _parts(self, part: slice) -> list[Array]:
        return [moment[part] for moment in self._moments.values()]

    def _check(self, what: str, vector: Array, *, writes: bool = False) -> None:
        check_vector(str(self), what, vector, self.size, self.dtype, writes=writes)

    def __str__(self) -> str:
        return type(self).__name__
