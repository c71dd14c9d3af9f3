"""A piecewise-linear activation of one number, for kernels that apply it to what they make: φ(v) = v, or slope v."""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.compile import kernel


@kernel
def bend(v, slope):
    """Return φ(v); ReLU, of slope 0, makes 0 of -∞."""
    if v > 0:
        return v
    return slope * v if slope != 0 or not v <= 0 else slope


@kernel
def bend_slope(v, slope):
    """Return φ'(v), or what has its sign: 1, or `slope` from the kink down; NaN of NaN."""
    one = type(slope)(1)
    return one if v > 0 else (slope if v <= 0 else v)
