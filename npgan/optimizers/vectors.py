"""Flat vectors: checks at the border, what a checkpoint keeps, norms and clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend, Scalar
from npgan.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from npgan.options import number


def check_vector(
    owner: str, what: str, vector: Array, size: int, dtype: np.dtype[Any], *, writes: bool = False
) -> None:
    """Raise an error unless `vector` is (size,), of `dtype`, and writable if it must be."""
    if vector.shape != (size,):
        raise ShapeError(f"{owner}: {what} is {vector.shape}, expected ({size},); no broadcasting here")
    if vector.dtype != dtype:
        raise DTypeError(f"{owner}: {what} is {vector.dtype}, expected {dtype}; nothing is converted silently")
    # CuPy's flags do not have it: its arrays can always be written.
    if writes and not getattr(vector.flags, "writeable", True):
        raise ConfigError(f"{owner}: {what} is read-only; write to a network inside `with network.write() as theta`")


def load_vectors(owner: str, into: Mapping[str, Array], state: Mapping[str, Any], backend: Backend) -> None:
    """Copy the arrays of a checkpoint into those that have its names, all of them or none.

    Raises
    ------
    CheckpointError
        The names differ.
    ShapeError, DTypeError
        An array does not fit.
    """
    if set(state) != set(into):
        raise CheckpointError(f"{owner}: the state has {sorted(state)}, expected {sorted(into)}")
    found = {name: backend.asarray(array) for name, array in state.items()}
    for name, array in into.items():
        check_vector(owner, f"the state's {name}", found[name], array.size, array.dtype)
    for name, array in into.items():
        array[...] = found[name]


def norm(vector: Array, *, backend: str | Backend = "cpu", scratch: Array | None = None) -> Scalar:
    """Return the Euclidean norm of a vector (P,), summed in float64 without overflow.

    NaN or Inf in the vector comes out as one. The same bits whatever the number of threads.

    Parameters
    ----------
    vector : array (P,)
    backend : str or Backend
    scratch : float64 array, optional
        What `norm_scratch` returns for P, for a caller that comes again and again; overwritten.

    Raises
    ------
    ShapeError
        Not a vector.
    """
    _check_flat("norm", vector)
    backend = get_backend(backend)
    scratch = norm_scratch(vector.size, backend) if scratch is None else scratch
    value: Scalar = backend.kernels.reduce.norm(scratch, vector)
    return value


def norm_scratch(size: int, backend: str | Backend = "cpu") -> Array:
    """Return the memory that `norm` needs for a vector of `size` elements."""
    backend = get_backend(backend)
    return backend.empty((backend.kernels.reduce.workspace(size),), np.float64)


def finite(vector: Array, *, backend: str | Backend = "cpu") -> bool:
    """Return whether all elements of a vector (P,) are finite: one pass, since then its norm is.

    (A float64 vector whose norm is beyond float64's range is called not finite too.)
    """
    return math.isfinite(norm(vector, backend=backend))


def clip_norm(gradient: Array, most: float, *, backend: str | Backend = "cpu", scratch: Array | None = None) -> Scalar:
    """Scale a gradient in place so that its norm is at most `most`; return the norm that it had.

    Pascanu et al. (2013), "On the difficulty of training recurrent neural networks", algorithm 1. A gradient
    whose norm is NaN or infinite is left as it is, for the caller to see.

    Parameters
    ----------
    gradient : array (P,)
        Written where its norm is above `most`.
    most : float
        > 0.
    backend : str or Backend
    scratch : float64 array, optional
        As for `norm`.

    Raises
    ------
    ConfigError
        `most` is not a positive number.
    ShapeError
        Not a vector.
    """
    most = number("clip_norm: most", most, above=0)
    found = norm(gradient, backend=backend, scratch=scratch)
    get_backend(backend).kernels.optimizer.limit(gradient, found, most)
    return found


def clip_value(gradient: Array, most: float, *, backend: str | Backend = "cpu", scratch: Array | None = None) -> Scalar:
    """Clip each element of a gradient (P,) to [-most, most] in place; return the norm that it had.

    A NaN stays, and is in the norm. `scratch` is as for `norm`.

    Raises
    ------
    ConfigError
        `most` is not a positive number.
    ShapeError
        Not a vector.
    """
    most = number("clip_value: most", most, above=0)
    found = norm(gradient, backend=backend, scratch=scratch)
    get_backend(backend).kernels.optimizer.clip(gradient, most)
    return found


def _check_flat(owner: str, vector: Array) -> None:
    if vector.ndim != 1:
        raise ShapeError(f"{owner}: the vector is {vector.shape}, expected (P,)")
