"""The products of a dense layer, by cuBLAS. See the reference for what they are."""

from npgan.backend.base import Array, Shape
from npgan.backend.products import product


def workspace(x: Shape, w: Shape) -> int:
    """Elements of `scratch` that the products need."""
    return 0


def forward(y: Array, x: Array, w: Array, *, compute: str = "float32") -> None:
    """x (N, I), w (I, O) -> y (N, O)."""
    product(y, x, w, compute=compute)


def backward_input(dx: Array, dy: Array, w: Array, *, compute: str = "float32") -> None:
    """dy (N, O), w (I, O) -> dx (N, I)."""
    product(dx, dy, w, tb=True, compute=compute)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, accumulate: bool, *, compute: str = "float32"
) -> None:
    """dy (N, O), x (N, I) -> dw (I, O), written or added to."""
    product(dw, x, dy, ta=True, accumulate=accumulate, compute=compute)
