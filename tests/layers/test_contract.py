"""What every layer must hold to. A layer that is exported and has no case in npgan.gradcheck.cases fails."""

from typing import Any

import numpy as np
import pytest

from npgan.errors import NpganError, ShapeError
from npgan.gradcheck import check
from npgan.gradcheck.cases import layer_cases, public_layers
from npgan.layers import (
    ELU,
    AvgPool2d,
    BatchNorm,
    ConcatCondition,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Dropout2d,
    Embedding,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    InstanceNorm,
    LayerNorm,
    LeakyReLU,
    MaxPool2d,
    Parallel,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    Skip,
    Softmax,
    Softplus,
    Tanh,
    Upsample2d,
)
from npgan.network import Network

LABELS = ((3,), "int64")
IMAGES = [((6,), "float"), ((6, 6, 2), "int64")]  # what a layer of images refuses

# The shapes and dtypes of inputs that must raise: for all cases of a class, and for one of them.
OF_IMAGES = (Conv2d, ConvTranspose2d, Upsample2d, AvgPool2d, MaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d, Skip)
OF_NUMBERS = (
    *(Dense, ReLU, LeakyReLU, ELU, Softplus, Tanh, Sigmoid, Softmax, BatchNorm, LayerNorm, InstanceNorm),
    *(Dropout, Dropout2d, Residual, Parallel),
)
REFUSED = {
    **dict.fromkeys((*OF_IMAGES, PixelShuffle, PixelUnshuffle), IMAGES),
    **{kind: [LABELS] for kind in OF_NUMBERS},
    Embedding: [((2,), "float")],
}
REFUSED_BY_ONE = {
    (Dense, 0): ((), "float"),
    (Conv2d, 5): ((3, 4, 2), "float"),
    (ConvTranspose2d, 4): ((2, 3, 1), "float"),
    (AvgPool2d, 2): ((2, 3, 1), "float"),
    (MaxPool2d, 2): ((2, 3, 1), "float"),
    (PixelShuffle, 0): ((2, 3, 7), "float"),
    (PixelUnshuffle, 0): ((4, 5, 2), "float"),
    (Softmax, 0): ((), "float"),
    (BatchNorm, 0): ((), "float"),
    (LayerNorm, 0): ((), "float"),
    (InstanceNorm, 0): ((4,), "float"),
    (Dropout2d, 0): ((4,), "float"),
    (Residual, 0): ((3,), "float"),
    (Parallel, 1): ((2,), "float"),
    (ConcatCondition, 0): LABELS,
    (ConcatCondition, 1): ((3, 2), "float"),
    (ConcatCondition, 2): ((2, 3), "float"),
    (ConcatCondition, 3): ((2, 2), "float"),
    (Reshape, 0): ((3, 3), "float"),
}
BOUNDED = (Tanh, Sigmoid)  # they map an infinity to something finite


class Case:
    """One layer with its settings, of those that `npgan gradcheck` checks too, and what it refuses."""

    def __init__(self, kind, number, case):
        self.layer, self.shape, self.least_batch = case.layer, case.shape, case.least_batch
        self.labels, self.condition_labels, self.condition_shape = (
            case.labels,
            case.condition_labels,
            case.condition_shape,
        )
        self.bounded = kind in BOUNDED
        self.refuses = [*REFUSED.get(kind, []), *[REFUSED_BY_ONE[k] for k in [(kind, number)] if k in REFUSED_BY_ONE]]

    def network(self, backend="cpu", dtype="float64", **options):
        network = Network(
            [self.layer],
            self.shape,
            condition_shape=() if self.condition_labels else self.condition_shape,
            input_dtype="int64" if self.labels else "float",
            backend=backend,
            dtype=dtype,
            name="D",
            **options,
        )
        draw = np.random.default_rng(5)
        theta, state = network.theta + 0.3 * draw.normal(size=network.size), draw.uniform(0.5, 1.5, network.state.shape)
        network.load(theta.astype(dtype), state.astype(dtype))
        return network

    def inputs(self, batch=3, seed=0) -> dict[str, Any]:
        """Return x, condition and dy in float64."""
        draw = np.random.default_rng(seed)
        shapes = (batch, *self.shape), (batch, *self.network().output_shape)
        x = draw.integers(0, self.labels, shapes[0]) if self.labels else draw.normal(size=shapes[0])
        condition = None
        if self.condition_labels:
            condition = draw.integers(0, self.condition_labels, batch)
        elif self.condition_shape:
            condition = draw.normal(size=(batch, *self.condition_shape))
        return {"x": x, "condition": condition, "dy": draw.normal(size=shapes[1])}


CASES = {kind: [Case(kind, number, case) for number, case in enumerate(found)] for kind, found in layer_cases().items()}

ALL = [
    pytest.param(case, id=f"{case.layer!r}-{'x'.join(map(str, case.shape))}" if i else kind.__name__)
    for kind, found in CASES.items()
    for i, case in enumerate(found)
]
every_case = pytest.mark.parametrize("case", ALL)
both_backends = pytest.mark.parametrize("backend", ["cpu", "reference"])
either_mode = pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])


def test_every_layer_has_a_case():
    missing = set(public_layers()) - set(CASES)
    assert not missing, f"no case in npgan.gradcheck.cases for {sorted(kind.__name__ for kind in missing)}"
    for kind, found in CASES.items():
        assert found
        assert all(type(case.layer) is kind for case in found)
    # What is refused is of a case that is there.
    assert all(number < len(CASES[kind]) for kind, number in REFUSED_BY_ONE)
    assert set(REFUSED) <= set(CASES)


def needs_more(case, train, batch):
    return train and batch < case.least_batch


def run(case, network, inputs, train=True, **options):
    """Return y, dx, dtheta and the gradient of the condition, as copies."""
    p = network.new_pass(len(inputs["x"]), train=train, **options)
    y = p.forward(inputs["x"], inputs["condition"], step=1, update_stats=False).copy()
    dtheta = np.full_like(network.theta, np.nan)
    real = case.condition_shape is not None
    dx = p.backward(inputs["dy"], dtheta=dtheta, dx=not case.labels, dcondition=real)
    return {
        "y": y,
        "dx": None if dx is None else dx.copy(),
        "dtheta": dtheta,
        "dcondition": p.dcondition.copy() if real else None,
    }


def compare(found, expected, rtol, atol):
    for name, value in found.items():
        assert (value is None) == (expected[name] is None)
        if value is not None:
            scale = max(1.0, float(np.abs(expected[name]).max(initial=0)))
            np.testing.assert_allclose(value, expected[name], rtol=rtol, atol=atol * scale, err_msg=name)


@either_mode
@both_backends
@pytest.mark.parametrize("batch", [1, 3])
@every_case
def test_gradients(case, backend, train, batch):
    if needs_more(case, train, batch):
        with pytest.raises(ShapeError, match=r"D/0 BatchNorm: .*one value per channel"):
            case.network().new_pass(batch).forward(case.inputs(batch)["x"])
        return
    check(
        case.layer,
        case.shape,
        batch=batch,
        condition_shape=case.condition_shape,
        labels=case.condition_labels,
        input_labels=case.labels,
        train=train,
        backend=backend,
    )


@either_mode
@every_case
def test_the_kernels_agree(case, train):
    inputs = case.inputs()
    expected = run(case, case.network("reference"), inputs, train)
    compare(run(case, case.network("cpu"), inputs, train), expected, rtol=0, atol=1e-13)
    narrow = {name: a.astype(np.float32) if a is not None and a.dtype == float else a for name, a in inputs.items()}
    for backend in ("cpu", "reference"):
        found = run(case, case.network(backend, "float32"), narrow, train)
        assert all(a is None or a.dtype == np.float32 for a in found.values())
        compare(found, expected, rtol=0, atol=2e-5)


@either_mode
@every_case
def test_the_complex_step(case, train):
    # The reference computes in complex numbers too: f(x + ihu) = f(x) + ihDf(x)u to rounding, for h = 1e-20.
    inputs, h, draw = case.inputs(), 1e-20, np.random.default_rng(1)
    network = case.network("reference")
    wide = case.network("reference", "complex128")
    expected = run(case, network, inputs, train)
    theta = network.theta.astype(complex)
    state = network.state.astype(complex)
    u = {name: draw.normal(size=a.shape) for name, a in inputs.items() if a is not None and a.dtype == float}
    p = wide.new_pass(len(inputs["x"]), train=train, order=0)

    def loss(x=None, condition=None, dtheta=0.0):
        wide.load(theta + 1j * h * dtheta, state)
        given = [inputs["x"], inputs["condition"]]
        for i, step in enumerate((x, condition)):
            if given[i] is not None and given[i].dtype == float:
                given[i] = given[i] + 1j * h * (0.0 if step is None else step)
        y = p.forward(*given, step=1, update_stats=False)
        np.testing.assert_allclose(y.real, expected["y"], rtol=0, atol=1e-12)
        return float(np.sum(inputs["dy"] * y.imag)) / h

    v = draw.normal(size=network.size)
    scale = 1e-12 * (1 + np.abs(inputs["dy"]).sum())
    assert abs(loss(dtheta=v) - expected["dtheta"] @ v) < scale
    if not case.labels:
        assert abs(loss(x=u["x"]) - np.sum(expected["dx"] * u["x"])) < scale
    if case.condition_shape is not None:
        assert abs(loss(condition=u["condition"]) - np.sum(expected["dcondition"] * u["condition"])) < scale


@both_backends
@every_case
def test_inputs_stay_as_they_are_and_may_lie_anyhow(case, backend):
    network, inputs = case.network(backend), case.inputs()
    theta, before = network.theta.copy(), {name: None if a is None else a.copy() for name, a in inputs.items()}
    expected = run(case, network, inputs)
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(network.theta, theta)
    anyhow = {name: None if a is None else np.asfortranarray(a[::-1])[::-1] for name, a in inputs.items()}
    compare(run(case, network, anyhow), expected, rtol=0, atol=0)


@both_backends
@every_case
def test_it_writes_every_element(case, backend):
    # Gradients too: what was in the memory before must not be seen.
    network, inputs = case.network(backend), case.inputs()
    expected = run(case, network, inputs)
    for garbage in (0xFF, 0x3F):  # NaN; and 4.8e-4, which would only be added
        p = network.new_pass(3)
        p.forward(inputs["x"], inputs["condition"], step=1, update_stats=False)
        p.arena.region[...] = garbage
        y = p.forward(inputs["x"], inputs["condition"], step=1, update_stats=False).copy()
        dtheta = np.full_like(network.theta, np.nan)
        dx = p.backward(inputs["dy"], dtheta=dtheta, dx=not case.labels)
        for a, b in ((y, expected["y"]), (dtheta, expected["dtheta"]), (dx, expected["dx"])):
            np.testing.assert_array_equal(a, b)


@either_mode
@both_backends
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_case
def test_nan_and_inf_come_out(case, backend, train, value):
    if case.labels or (case.bounded and not np.isnan(value)):
        return
    network, inputs = case.network(backend), case.inputs()
    finite = run(case, network, inputs, train)
    size = inputs["x"].size
    for place in {0, size // 2, size - 1}:
        index = np.unravel_index(place, inputs["x"].shape)
        # A layer passes an element on if a large change of it, of the same sign, changes y.
        bumped = {**inputs, "x": inputs["x"].copy()}
        bumped["x"][index] = 1e3 * (np.sign(value) if np.isinf(value) else 1)
        doubled = {**inputs, "x": inputs["x"].copy()}
        doubled["x"][index] = 2 * bumped["x"][index]
        moved, further = run(case, network, bumped, train)["y"], run(case, network, doubled, train)["y"]
        passes = np.any(moved != finite["y"]) and (np.isnan(value) or np.any(further != moved))
        if not passes:
            continue
        bad = {**inputs, "x": inputs["x"].copy()}
        bad["x"][index] = value
        with np.errstate(all="ignore"):
            found = run(case, network, bad, train)
        assert not np.isfinite(found["y"]).all(), f"{value} at {index}"
        if np.isnan(value):
            # It is not spread further than a change of the element is.
            assert np.isnan(found["y"])[moved != finite["y"]].all()


@both_backends
@every_case
def test_nan_in_a_gradient_comes_out(case, backend):
    network, inputs = case.network(backend), case.inputs()
    size = inputs["dy"].size
    for place in {0, size // 2, size - 1}:
        bad = {**inputs, "dy": inputs["dy"].copy()}
        bad["dy"].reshape(-1)[place] = np.nan
        with np.errstate(all="ignore"):
            found = run(case, network, bad)
        gradients = [a for name, a in found.items() if name != "y" and a is not None]
        assert not all(np.isfinite(a).all() for a in gradients)


@every_case
def test_nan_is_at_the_same_places_in_both_versions(case):
    if case.labels:
        return
    inputs = case.inputs()
    inputs["x"][1].reshape(-1)[2], inputs["x"][2].reshape(-1)[0] = np.nan, np.inf
    with np.errstate(all="ignore"):
        found, expected = (run(case, case.network(backend), inputs) for backend in ("cpu", "reference"))
    for name in ("y", "dx", "dtheta"):
        np.testing.assert_array_equal(np.isfinite(found[name]), np.isfinite(expected[name]), err_msg=name)


@every_case
def test_a_shape_that_does_not_fit(case):
    options = {"condition_shape": () if case.condition_labels else case.condition_shape}
    for shape, dtype in case.refuses:
        with pytest.raises(NpganError, match=r"^D/0") as error:
            Network([case.layer], shape, input_dtype=dtype, name="D", **options)
        assert len(str(error.value)) > len("D/0 : expected")
    # At the border of a Pass it is the Pass that is named.
    p = case.network().new_pass(3, name="real")
    inputs = case.inputs()
    with pytest.raises(ShapeError, match=r"D\.real: x is .*, expected "):
        p.forward(inputs["x"][..., None], inputs["condition"])
    p.forward(inputs["x"], inputs["condition"])
    with pytest.raises(ShapeError, match=r"D\.real: dy is .*, expected "):
        p.backward(inputs["dy"][:1])


@every_case
def test_it_can_be_printed(case):
    assert type(case.layer).__name__ in repr(case.layer)
    assert len(repr(case.layer)) < 400
    assert "<lambda>" not in repr(case.layer)
    assert case.network().summary()
