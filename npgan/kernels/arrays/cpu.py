"""Copies and sums of arrays: NumPy's, or kernels' where a step is written down."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import is_written, not_written, over_samples

_AXES = 4


@kernel
def _copy(start, stop, out, source, adds):
    # rows [start, stop) of all (K, H, W, C), each of C
    height, width = out.shape[1:3]
    for row in range(start, stop):
        k, h, w = row // (height * width), row // width % height, row % width
        into, given = out[k, h, w], source[k, h, w]
        for c in range(into.size):
            into[c] = into[c] + given[c] if adds else given[c]


def _four(array: Array) -> Array:
    """Return a view of four axes, with ones in front; numba takes any strides."""
    if array.ndim > _AXES:
        not_written(f"an array of {array.ndim} axes is copied")
    return array.reshape((1,) * (_AXES - array.ndim) + array.shape) if array.ndim < _AXES else array


def _write(out: Array, source: Array, adds: bool) -> None:
    if out.dtype != source.dtype:
        not_written(f"{source.dtype} {source.shape} is copied to {out.dtype} {out.shape}")
    if not out.size:
        return
    if source.shape != out.shape:
        source = np.broadcast_to(source, out.shape)
    if out.flags.c_contiguous and source.flags.c_contiguous:
        # in pieces, which are what is divided
        out, source = out.reshape(-1), source.reshape(-1)
        size = next(each for each in (256, 16, 1) if out.size % each == 0)
        out, source = out.reshape(1, 1, -1, size), source.reshape(1, 1, -1, size)
    else:
        out, source = _four(out), _four(source)
    over_samples(_copy, out.size // out.shape[3], out.size, out, source, adds, elements=True)


def copy(out: Array, source: Array) -> None:
    """Source, of the shape of out or one that broadcasts to it -> out."""
    if is_written():
        _write(out, source, False)
    else:
        out[...] = source


def add(out: Array, source: Array) -> None:
    """Out + source -> out, of one shape."""
    if is_written():
        _write(out, source, True)
    else:
        np.add(out, source, out=out)
