"""Convolution in CUDA: implicit matrix products, or cuDNN's. See the reference for what it is, gpu.cu for how.

`compute` is what products of float32 are computed in: see `CupyBackend`.
"""

from __future__ import annotations

from npgan.backend.base import Array, Shape
from npgan.backend.cuda import THREADS, blocks, kernel, launch
from npgan.kernels.conv import gpu_choice
from npgan.kernels.conv.gpu_choice import Map, plan
from npgan.kernels.conv.windows import Pads, Pair

_COMPUTE = {"float32": "PLAIN", "tf32": "TF32", "bf16": "BF16"}


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> int:
    """Elements of `scratch`."""
    return gpu_choice.workspace(x, w, y, stride)


def forward(
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    bias: Array | None = None,
    slope: float | None = None,
    *,
    compute: str = "float32",
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O); a bias (O,) and a leaky ReLU are done too where given."""
    shapes = x.shape, w.shape, y.shape
    _run("FORWARD", y, scratch, x, w, shapes, (stride, padding, dilation), compute, bias, slope)


def backward_input(
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    bias: Array | None = None,
    slope: float | None = None,
    *,
    compute: str = "float32",
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I); a bias (I,) and a leaky ReLU are done too where given."""
    shapes = dx.shape, w.shape, dy.shape
    _run("DATA", dx, scratch, dy, w, shapes, (stride, padding, dilation), compute, bias, slope)


def backward_weight(
    dw: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    accumulate: bool,
    *,
    compute: str = "float32",
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    shapes = x.shape, dw.shape, dy.shape
    _run("WEIGHT", dw, scratch, x, dy, shapes, (stride, padding, dilation), compute, accumulate=accumulate)


def backward(
    dx: Array,
    dw: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    accumulate: bool,
    *,
    compute: str = "float32",
) -> None:
    """Do `backward_weight` and `backward_input` one after the other."""
    backward_weight(dw, scratch, dy, x, stride, padding, dilation, accumulate, compute=compute)
    backward_input(dx, scratch, dy, w, stride, padding, dilation, compute=compute)


def _run(
    which: Map,
    out: Array,
    scratch: Array,
    a: Array,
    b: Array,
    shapes: tuple[Shape, Shape, Shape],
    options: tuple[Pair, Pads, Pair],
    compute: str,
    bias: Array | None = None,
    slope: float | None = None,
    accumulate: bool = False,
) -> None:
    """Compute a map by npgan's own kernels: out from the factors a and b."""
    (n, h, w, i), (kh, kw, _, o), (_, oh, ow, _) = shapes
    stride, ((top, _), (left, _)), dilation = options
    geometry = (n, h, w, i, kh, kw, o, oh, ow, *stride, top, left, *dilation)
    work = plan(which, *shapes, stride)
    to = out if work.parts == 1 else scratch
    finish = (bias, slope is not None, float(slope or 0.0))
    # Neighbours that are read at once: channels of both factors, or of those that the depth goes along.
    along = {"FORWARD": (i, o), "DATA": (o,), "WEIGHT": (i, o)}[which]
    wide = 16 // out.dtype.itemsize
    vector = wide if all(c % wide == 0 for c in along) and a.data.ptr % 16 == b.data.ptr % 16 == 0 else 1
    macros = (f"MAP={which}", f"VECTOR={vector}")

    if work.few:
        few = kernel("conv/few", "few", out.dtype, *macros)
        if which == "WEIGHT":
            grid = (-(-work.rows // THREADS), 1, work.parts)
            launch(few, grid, THREADS, to, a, b, accumulate, work.parts, *geometry)
        else:
            launch(few, (-(-work.rows // work.tile[0]), 1, work.phases), THREADS, to, a, b, *finish, *geometry)
    else:
        narrow = vector == 1 or out.dtype.itemsize == 8
        tile = (64, 64) if narrow else work.tile
        macros += (
            f"COMPUTE={'PLAIN' if out.dtype.itemsize == 8 else _COMPUTE[compute]}",
            f"TILE_ROWS={tile[0]}",
            f"TILE_COLUMNS={tile[1]}",
            f"TILE_DEPTH={8 if out.dtype.itemsize == 8 else 16}",
        )
        product = kernel("conv", "product", out.dtype, *macros)
        launch(product, work.grid(tile), THREADS, to, a, b, *finish, accumulate, work.parts, *geometry)
    if work.parts > 1:
        add = kernel("conv/parts", "add_parts", out.dtype)
        channels = out.shape[-1]
        launch(add, blocks(out.size), THREADS, out, scratch, *finish, accumulate, work.parts, out.size, channels)
