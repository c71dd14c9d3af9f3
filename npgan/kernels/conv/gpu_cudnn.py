"""cuDNN's convolutions, where nvidia-cudnn-frontend is installed: float32 on tensor cores, in TF32.

Its fast kernels want channels last and multiples of 4, and weights (O, KH, KW, I): a weight is turned on the way in,
its gradient on the way out, in scratch. Only kernels that give the same bits every time are asked for. The bias and the
activation are npgan's own, since cuDNN's ReLU does not promise to hand on NaN. bf16 stays with npgan's own kernels: the
arrays are float32, and converting them would take longer than it saves.

A plan is made for a geometry when a Pass is planned, and kept; running it neither allocates nor waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from types import ModuleType
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.cuda import kernel, launch
from npgan.errors import BackendError
from npgan.kernels.conv.gpu_choice import FEW, Map
from npgan.kernels.conv.windows import Pads, Pair

_A, _B, _OUT = 1, 2, 3  # the names of a graph's tensors: the factors, and what is made of them
_ALIGNED = 128  # bytes


@dataclass(frozen=True)
class Plan:
    """A convolution that cuDNN has prepared: its graph, and the bytes that it works in beside the arrays."""

    graph: Any
    workspace: int

    def scratch(self, w: Shape) -> int:
        """Return the float32 elements of scratch for this and for the turned weight."""
        return prod(w) + self.workspace // 4 + 1 + 2 * _ALIGNED // 4


def why_not(conv: str, compute: str, x: Shape, w: Shape, itemsize: int = 4) -> str:
    """Return why cuDNN is not used for x (N, H, W, I) and w (KH, KW, I, O); empty where it is.

    Raises
    ------
    BackendError
        It is asked for, and not installed.
    """
    if conv == "own":
        return "npgan's own kernels are asked for"
    if compute != "tf32" or itemsize != 4:
        return f"it is used for tf32, and this is {compute if itemsize == 4 else 'float64'}"
    missing = _missing()
    if missing and conv == "cudnn":
        raise BackendError(f"cuDNN is asked for and cannot be used: {missing}; pip install 'npgan[gpu-cuda13]'")
    if missing:
        return missing
    if w[2] % 4 or w[3] % 4 or min(w[2:]) <= FEW:
        return f"{w[2]} and {w[3]} channels, and it wants multiples of 4"
    return ""


@lru_cache(maxsize=1)
def _missing() -> str:
    try:
        _cudnn().backend_version()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"nvidia-cudnn-frontend is not there ({error})"
    return ""


def _cudnn() -> ModuleType:
    import cudnn

    found: ModuleType = cudnn
    return found


@lru_cache(maxsize=1)
def _handle() -> Any:
    return _cudnn().create_handle()


@lru_cache(maxsize=1024)
def plan(which: Map, x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> Plan | None:
    """Return a prepared convolution, or None where cuDNN has no kernel for it."""
    cudnn = _cudnn()
    graph = cudnn.pygraph(
        name=f"npgan {which.lower()}",
        io_data_type=cudnn.data_type.FLOAT,
        intermediate_data_type=cudnn.data_type.FLOAT,
        compute_data_type=cudnn.data_type.FLOAT,
        handle=_handle(),
    )
    _describe(graph, which, x, w, y, stride, padding, dilation)
    notes = cudnn.numerical_note
    try:
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        graph.deselect_numeric_notes(
            [notes.NONDETERMINISTIC, notes.DOWN_CONVERT_INPUTS, notes.REDUCED_PRECISION_REDUCTION]
        )
        graph.check_support()
        graph.build_plans()
    except cudnn.cudnnGraphNotSupportedError:
        return None
    return Plan(graph, graph.get_workspace_size())


def _describe(
    graph: Any, which: Map, x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair
) -> None:
    """Write the convolution down: dimensions are (N, C, H, W) or (O, I, KH, KW), with the strides of channels last."""
    images, weight, results = _channels_last(x), _channels_last((w[3], w[0], w[1], w[2])), _channels_last(y)
    geometry: dict[str, Any] = {
        "pre_padding": [padding[0][0], padding[1][0]],
        "post_padding": [padding[0][1], padding[1][1]],
        "stride": list(stride),
        "dilation": list(dilation),
    }
    if which == "FORWARD":
        a, b = graph.tensor(**images, name="x", uid=_A), graph.tensor(**weight, name="w", uid=_B)
        made, out = graph.conv_fprop(image=a, weight=b, **geometry), results
    elif which == "DATA":
        a, b = graph.tensor(**results, name="dy", uid=_A), graph.tensor(**weight, name="w", uid=_B)
        made, out = graph.conv_dgrad(loss=a, filter=b, **geometry), images
    else:
        a, b = graph.tensor(**images, name="x", uid=_A), graph.tensor(**results, name="dy", uid=_B)
        made, out = graph.conv_wgrad(image=a, loss=b, **geometry), weight
    made.set_output(True).set_dim(out["dim"]).set_stride(out["stride"]).set_uid(_OUT)


def _channels_last(shape: Shape) -> dict[str, list[int]]:
    n, h, w, c = shape
    return {"dim": [n, c, h, w], "stride": [h * w * c, 1, w * c, c]}


def run(found: Plan, which: Map, out: Array, scratch: Array, a: Array, b: Array, accumulate: bool) -> None:
    """Compute a map from its factors a and b, on CuPy's current stream."""
    import cupy

    cudnn = _cudnn()
    start = -address(scratch) % _ALIGNED // 4
    weight = out if which == "WEIGHT" else b
    turned = scratch[start : start + weight.size]
    workspace = -(-(address(turned) + turned.nbytes) // _ALIGNED) * _ALIGNED
    pointers = {_A: address(a), _B: address(b), _OUT: address(out)}
    rows, columns = prod(weight.shape[:3]), weight.shape[3]
    if which == "WEIGHT":
        pointers[_OUT] = address(turned)
    else:
        pointers[_B] = address(turned)
        _turn(turned, b, False, rows, columns)
    cudnn.set_stream(handle=_handle(), stream=cupy.cuda.get_current_stream().ptr)
    found.graph.execute(pointers, workspace, handle=_handle())
    if which == "WEIGHT":
        _turn(out, turned, accumulate, columns, rows)


def _turn(to: Array, matrix: Array, accumulate: bool, rows: int, columns: int) -> None:
    grid = (-(-columns // 32), -(-rows // 32))
    launch(kernel("conv/turn", "turn", to.dtype), grid, (32, 8), to, matrix, accumulate, rows, columns)


def address(array: Any) -> int:
    """Return where an array begins on the device."""
    found: int = array.data.ptr
    return found


def forget() -> None:
    """Forget what was found and planned: for tests."""
    for cached in (_missing, _handle, plan):
        cached.cache_clear()
