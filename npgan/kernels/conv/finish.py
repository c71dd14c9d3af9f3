"""What is done to an output while it is in the cache: a bias, a piecewise-linear activation, and moments of that."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.kernels.bend import bend
from npgan.kernels.moments import measure

_NONE = np.empty((2, 0, 0, 0))


def or_none(moments: Array | None) -> Array:
    """Return the moments that kernels shall find, or an array of none, so that both are one compiled kernel."""
    return _NONE if moments is None else moments


@kernel
def finish(y, bias, slope, moments, n):
    """Finish y (M, C), sample n: add a bias (C,), do the activation of that slope, as far as they are not None.

    What comes out is measured: moments (2, N, blocks, C), as in `npgan.kernels.moments`, or none.
    """
    if bias is not None or slope is not None:
        bent = y.dtype.type(1.0 if slope is None else slope)
        for m in range(y.shape[0]):
            row = y[m]
            for c in range(row.size):
                v = row[c] if bias is None else row[c] + bias[c]
                row[c] = v if slope is None else bend(v, bent)
    if moments.size:
        measure(moments, n, y)


@kernel
def finish_rows(start, stop, y, bias, slope, none):
    """Do it to the rows [start, stop), unmeasured."""
    finish(y[start:stop], bias, slope, none, 0)
