"""What is done to an output while it is in the cache: a bias, and the piecewise-linear activation after it."""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.compile import kernel
from npgan.kernels.bend import bend


@kernel
def finish(y, bias, slope):
    """Add a bias (C,) to y (M, C), and do the activation of that slope to it, as far as they are not None."""
    if bias is None and slope is None:
        return
    bent = y.dtype.type(1.0 if slope is None else slope)
    for m in range(y.shape[0]):
        row = y[m]
        for c in range(row.size):
            v = row[c] if bias is None else row[c] + bias[c]
            row[c] = v if slope is None else bend(v, bent)


@kernel
def finish_rows(start, stop, y, bias, slope):
    """Do it to the rows [start, stop)."""
    finish(y[start:stop], bias, slope)
