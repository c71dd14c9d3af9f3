"""Check a layer of your own, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npgan.gradcheck.checking import check_function
from npgan.gradcheck.functions import NetworkFunction, stir_state
from npgan.gradcheck.report import GradientError, Report

if TYPE_CHECKING:
    from npgan.backend.base import Backend, Shape
    from npgan.layers import Layer


def check(
    layers: Layer | Sequence[Layer],
    input_shape: Shape,
    *,
    batch: int = 3,
    condition_shape: Shape | None = None,
    labels: int | None = None,
    input_labels: int | None = None,
    train: bool = True,
    backend: str | Backend = "cpu",
    seed: int = 0,
) -> Report:
    """Check a layer in float64: all its maps, and what every layer must hold to.

    The derivatives of y and of the gradients, along every element of small arrays and random directions of large ones,
    are taken by extrapolated central differences that estimate their own error, and by the complex step where the layer
    computes in complex numbers on the reference backend. `backward`, and `rforward` and `rbackward` where the layer has
    them, are held against both, and against each other: <dy, ry> = <dx, rx>, products with a Hessian are symmetric,
    each linear map is linear. Tolerances are the estimated errors and what rounding does to the layer's own results.

    Where differences meet a kink (of ReLU, of max pooling), they look closer, then the point is moved, and in the end
    the complex step alone decides, for it stays on the branch of the point; the report's notes say what was done.

    Beside the values: arguments stay untouched, inside of the layer too; results are written in full, whatever lay in
    the memory, and share none with the arguments; strided arguments, a second run, other plans of the memory and each
    gradient alone give the same bits; maps read only what the plan keeps; accumulating adds; another dtype is refused;
    a batch of one and an empty one work or are refused.

    Parameters
    ----------
    layers : Layer or sequence of Layer
    input_shape : tuple of int
        Of one sample.
    batch : int
        Samples.
    condition_shape : tuple of int, optional
        Of one sample's condition, for layers that read one.
    labels, input_labels : int, optional
        The condition, the input are class labels below this.
    train : bool
        Batch statistics and dropout.
    backend : str or Backend
    seed : int
        Of the weights, the point and the directions.

    Returns
    -------
    Report
        With the worst case of each map, result and method.

    Raises
    ------
    GradientError
        Something is wrong; the message has the report and the call that shows it again.
    """
    from npgan.network import Network

    network = Network(
        layers,
        input_shape,
        condition_shape=condition_shape if labels is None else (),
        input_dtype="float" if input_labels is None else "int64",
        backend=backend,
        dtype="float64",
        seed=seed,
        name="check",
    )
    stir_state(network, seed)
    f = NetworkFunction(network, batch, train=train, below=input_labels, condition_below=labels)
    found = check_function(f, seed=seed, insist=False, analytic=False)
    if not f.second_order:
        found.notes.append("the second-order maps were not checked: there is a layer without R-maps")
    options = {
        "batch": (batch, 3),
        "condition_shape": (condition_shape, None),
        "labels": (labels, None),
        "input_labels": (input_labels, None),
        "train": (train, True),
        "backend": (network.backend.name, "cpu"),
    }
    given = [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
    what = f"[{', '.join(map(repr, layers))}]" if isinstance(layers, Sequence) else repr(layers)
    call = f"npgan.gradcheck.check({', '.join([what, repr(tuple(input_shape)), *given, f'seed={seed}'])})"
    report = Report(f"{_subject(layers)} on {tuple(input_shape)}", found.rows, found.notes, call)
    if not report.ok:
        raise GradientError(str(report))
    return report


def _subject(layers: Any) -> str:
    return ", ".join(map(repr, layers)) if isinstance(layers, Sequence) else repr(layers)
