"""What is done to an output while it is in the cache (`npgan.kernels.after`), compiled."""

# mypy: disable-error-code="no-untyped-def"

from functools import lru_cache
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.kernels.after import After
from npgan.kernels.bend import bend
from npgan.kernels.moments import measure


@lru_cache(maxsize=4)
def _nothing(dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return a bias and moments of nothing."""
    return np.empty(0, dtype), np.empty((2, 0, 0, 0))


def prepare(after: After, y: Array) -> tuple[Any, ...]:
    """Return what `finish` takes: arrays and a number whatever is wanted, so that there is one compiled kernel."""
    bias, slope, moments = after
    no_bias, no_moments = _nothing(y.dtype)
    return (
        no_bias if bias is None else bias,
        1.0 if slope is None else float(slope),
        no_moments if moments is None else moments,
    )


@kernel
def finish(y, after, n):
    """Finish y (M, C), sample n."""
    bias, slope, moments = after
    _bend(y, bias, slope)
    if moments.size:
        measure(moments, n, y)


@kernel
def finish_rows(start, stop, y, after):
    """Do it to the rows [start, stop), unmeasured."""
    _bend(y[start:stop], after[0], after[1])


@kernel
def _bend(y, bias, slope):
    if not bias.size and slope == 1:
        return
    bent = y.dtype.type(slope)
    for m in range(y.shape[0]):
        row = y[m]
        if bias.size:
            for c in range(row.size):
                row[c] = bend(row[c] + bias[c], bent)
        else:
            for c in range(row.size):
                row[c] = bend(row[c], bent)
