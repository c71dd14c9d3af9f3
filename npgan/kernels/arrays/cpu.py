"""Copies and sums of arrays: NumPy's, or kernels' where a step is written down."""

# mypy: disable-error-code="no-untyped-def"

from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import is_written, not_written, over_samples

_AXES = 4


@kernel
def _copy(start, stop, out, source):
    # rows [start, stop) of all (K, H, W, C), each of C
    height, width = out.shape[1:3]
    for row in range(start, stop):
        k, h, w = row // (height * width), row // width % height, row % width
        into, given = out[k, h, w], source[k, h, w]
        for c in range(into.size):
            into[c] = given[c]


@kernel
def _add(start, stop, out, a, b):
    height, width = out.shape[1:3]
    for row in range(start, stop):
        k, h, w = row // (height * width), row // width % height, row % width
        into, first, second = out[k, h, w], a[k, h, w], b[k, h, w]
        for c in range(into.size):
            into[c] = first[c] + second[c]


def _over_rows(compiled: Any, *arrays: Array) -> None:
    """Write a kernel down, over rows of arrays of one shape with four axes: pieces, where all are contiguous."""
    out = arrays[0]
    for each in arrays[1:]:
        if each.dtype != out.dtype:
            not_written(f"{each.dtype} {each.shape} is copied to {out.dtype} {out.shape}")
    if out.ndim > _AXES:
        not_written(f"an array of {out.ndim} axes is copied")
    if not out.size:
        return
    arrays = tuple(each if each.shape == out.shape else np.broadcast_to(each, out.shape) for each in arrays)
    shape = (1,) * (_AXES - out.ndim) + out.shape
    if all(each.flags.c_contiguous for each in arrays):
        shape = 1, 1, -1, next(size for size in (256, 16, 1) if out.size % size == 0)
    views = [each.reshape(shape) for each in arrays]
    over_samples(compiled, out.size // views[0].shape[3], out.size, *views, elements=True)


def copy(out: Array, source: Array) -> None:
    """Source, of the shape of out or one that broadcasts to it -> out."""
    if is_written():
        _over_rows(_copy, out, source)
    else:
        out[...] = source


def zero(out: Array) -> None:
    """0 -> out."""
    copy(out, np.zeros((), out.dtype))


def add(out: Array, a: Array, b: Array) -> None:
    """Arrays a + b -> out, all of one shape; out may be one of them."""
    if is_written():
        _over_rows(_add, out, a, b)
    else:
        np.add(a, b, out=out)
