"""Convolution in CUDA: implicit matrix products, or cuDNN's. See the reference for what it is, gpu.cu for how.

`compute` is what products of float32 are computed in, and `conv` by whose kernels: see `CupyBackend`.
"""

from npgan.backend.base import Array, Shape
from npgan.backend.cuda import THREADS, blocks, kernel, launch
from npgan.kernels.after import NOTHING, After
from npgan.kernels.bias.gpu import forward as finish
from npgan.kernels.conv import gpu_choice, gpu_cudnn
from npgan.kernels.conv.gpu_choice import MAPS, Map, plan
from npgan.kernels.conv.gpu_cudnn import address
from npgan.kernels.conv.windows import Pads, Pair

_COMPUTE = {"float32": "PLAIN", "tf32": "TF32", "bf16": "BF16"}


def workspace(
    x: Shape,
    w: Shape,
    y: Shape,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    *,
    compute: str = "float32",
    conv: str = "auto",
) -> int:
    """Elements of `scratch`. Whatever cuDNN has to prepare is prepared here."""
    own = gpu_choice.workspace(x, w, y, stride)
    if gpu_cudnn.why_not(conv, compute, x, w):
        return own
    plans = [gpu_cudnn.plan(which, x, w, y, stride, padding, dilation) for which in MAPS]
    return max(own, *(each.scratch(w) for each in plans if each is not None), 0)


def measured(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair, of_x: bool) -> int:
    """Return 0: what products make is not measured by them here."""
    return 0


def forward(
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After = NOTHING,
    *,
    compute: str = "float32",
    conv: str = "auto",
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O), finished."""
    shapes = x.shape, w.shape, y.shape
    _run("FORWARD", y, scratch, x, w, shapes, (stride, padding, dilation), compute, conv, after)


def backward_input(
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After = NOTHING,
    *,
    compute: str = "float32",
    conv: str = "auto",
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I), finished."""
    shapes = dx.shape, w.shape, dy.shape
    _run("DATA", dx, scratch, dy, w, shapes, (stride, padding, dilation), compute, conv, after)


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
    conv: str = "auto",
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    shapes = x.shape, dw.shape, dy.shape
    _run("WEIGHT", dw, scratch, x, dy, shapes, (stride, padding, dilation), compute, conv, accumulate=accumulate)


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
    conv: str = "auto",
) -> None:
    """Do `backward_weight` and `backward_input` one after the other."""
    backward_weight(dw, scratch, dy, x, stride, padding, dilation, accumulate, compute=compute, conv=conv)
    backward_input(dx, scratch, dy, w, stride, padding, dilation, compute=compute, conv=conv)


def _run(
    which: Map,
    out: Array,
    scratch: Array,
    a: Array,
    b: Array,
    shapes: tuple[Shape, Shape, Shape],
    options: tuple[Pair, Pads, Pair],
    compute: str,
    conv: str,
    after: After = NOTHING,
    accumulate: bool = False,
) -> None:
    """Compute a map: out from the factors a and b."""
    if not gpu_cudnn.why_not(conv, compute, *shapes[:2], out.dtype.itemsize) and _aligned(out, a, b):
        found = gpu_cudnn.plan(which, *shapes, *options)
        if found is not None:
            gpu_cudnn.run(found, which, out, scratch, a, b, accumulate)
            finish(out.reshape(-1, out.shape[-1]), after.bias, after.slope)
            return
    _own(which, out, scratch, a, b, shapes, options, compute, after.bias, after.slope, accumulate)


def _own(
    which: Map,
    out: Array,
    scratch: Array,
    a: Array,
    b: Array,
    shapes: tuple[Shape, Shape, Shape],
    options: tuple[Pair, Pads, Pair],
    compute: str,
    bias: Array | None,
    slope: float | None,
    accumulate: bool,
) -> None:
    """Compute a map by npgan's own kernels."""
    (n, h, w, i), (kh, kw, _, o), (_, oh, ow, _) = shapes
    stride, ((top, _), (left, _)), dilation = options
    geometry = (n, h, w, i, kh, kw, o, oh, ow, *stride, top, left, *dilation)
    work = plan(which, *shapes, stride)
    to = out if work.parts == 1 else scratch
    end = (bias, slope is not None, float(slope or 0.0))
    # Neighbours that are read at once: channels of both factors, or of those that the depth goes along.
    along = {"FORWARD": (i, o), "DATA": (o,), "WEIGHT": (i, o)}[which]
    wide = 16 // out.dtype.itemsize
    vector = wide if all(c % wide == 0 for c in along) and _aligned(a, b) else 1
    macros: tuple[str, ...] = (f"MAP={which}", f"VECTOR={vector}")

    if work.few:
        few = kernel("conv/few", "few", out.dtype, *macros)
        if which == "WEIGHT":
            grid = (-(-work.rows // THREADS), 1, work.parts)
            launch(few, grid, THREADS, to, a, b, accumulate, work.parts, *geometry)
        else:
            launch(few, (-(-work.rows // work.tile[0]), 1, work.phases), THREADS, to, a, b, *end, *geometry)
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
        launch(product, work.grid(tile), THREADS, to, a, b, *end, accumulate, work.parts, *geometry)
    if work.parts > 1:
        add = kernel("conv/parts", "add_parts", out.dtype)
        channels = out.shape[-1]
        launch(add, blocks(out.size), THREADS, out, scratch, *end, accumulate, work.parts, out.size, channels)


def _aligned(*arrays: Array) -> bool:
    return all(address(array) % 16 == 0 for array in arrays)
