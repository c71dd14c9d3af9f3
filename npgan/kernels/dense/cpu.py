"""The products of a dense layer, each thread for its own rows of the result."""

from npgan.backend.base import Array, Shape
from npgan.kernels.product import columns_times, rows_times


def workspace(x: Shape, w: Shape) -> int:
    """Elements of `scratch` that the products need: none, BLAS adds where it is asked to."""
    return 0


def forward(y: Array, x: Array, w: Array) -> None:
    """x (N, I), w (I, O) -> y (N, O)."""
    rows_times(y, x, w)


def backward_input(dx: Array, dy: Array, w: Array) -> None:
    """dy (N, O), w (I, O) -> dx (N, I)."""
    rows_times(dx, dy, w, transposed=True)


def backward_weight(dw: Array, scratch: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (N, O), x (N, I) -> dw (I, O), written or added to."""
    columns_times(dw, x, dy, accumulate)
