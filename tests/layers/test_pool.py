"""Pooling layers: sizes, gradients, NaN, errors, PyTorch."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import Tanh
from npgan.layers.base import Spec
from npgan.layers.conv import Conv2d
from npgan.layers.pool import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from npgan.network import Network

backends = pytest.mark.parametrize("backend", ["reference", "cpu"])

# layer, input shape of one sample, output shape of one sample
CASES = [
    (kind(*args), shape, output)
    for kind in (AvgPool2d, MaxPool2d)
    for args, shape, output in [
        ((2,), (4, 6, 2), (2, 3, 2)),
        (((3, 2), (1, 2)), (5, 5, 2), (3, 2, 2)),
        ((3, 2, 1), (5, 6, 1), (3, 3, 1)),
        ((2, 2, ((0, 1), (1, 0))), (5, 5, 2), (3, 3, 2)),
        ((3, 2, "same"), (5, 6, 2), (3, 3, 2)),
        ((1, 2), (5, 4, 2), (3, 2, 2)),
    ]
] + [(kind(), shape, shape[-1:]) for kind in (GlobalAvgPool2d, GlobalMaxPool2d) for shape in ((3, 4, 2), (1, 1, 3))]
layers = pytest.mark.parametrize(("layer", "shape", "output"), CASES, ids=repr)


@layers
def test_output_shape(layer, shape, output):
    assert Network([layer], shape).output_shape == output


@backends
@layers
def test_gradients(layer, shape, output, backend):
    check(layer, shape, batch=2, backend=backend)


@backends
def test_gradients_between_convolutions(backend):
    check([Conv2d(3, 3), MaxPool2d(2), Conv2d(2, 2), AvgPool2d(2, 1), GlobalMaxPool2d()], (9, 8, 2), backend=backend)


@layers
def test_rmaps(layer, shape, output, check_rmaps):
    check_rmaps(layer, shape, batch=2)


def test_rmaps_between_convolutions(check_rmaps):
    layers = [Conv2d(3, 3), Tanh(), MaxPool2d(2), Conv2d(2, 2), Tanh(), AvgPool2d(2, 1), GlobalMaxPool2d()]
    check_rmaps(layers, (9, 8, 2), batch=2)


@backends
@pytest.mark.parametrize("layer", [MaxPool2d(2), GlobalMaxPool2d()], ids=repr)
def test_rmaps_at_a_tie_keep_the_winner(layer, backend):
    """The first of equals won in forward: the R-maps read and write there, whichever way x moves."""
    p = Network([layer], (2, 2, 1), backend=backend, dtype="float64").new_pass(1, order=2)
    y = p.forward(np.array([0.0, 1.0, 1.0, 1.0]).reshape(1, 2, 2, 1))
    p.backward(np.ones_like(y))
    assert p.rforward(np.array([9.0, -3.0, 5.0, 7.0]).reshape(1, 2, 2, 1)).item() == -3
    np.testing.assert_array_equal(p.rbackward(np.full_like(y, 2.0)).ravel(), [0, 2, 0, 0])


@layers
def test_gradients_by_the_complex_step(layer, shape, output):
    h, rng = 1e-20, np.random.default_rng(0)
    network = Network([layer], shape, backend="reference", dtype="complex128")
    x, dy, u = (rng.normal(size=(2, *s)).astype(complex) for s in (shape, output, shape))
    p = network.new_pass(2)
    p.forward(x)
    dx = p.backward(dy).copy()
    step = np.sum(dy * p.forward(x + 1j * h * u)).imag / h
    np.testing.assert_allclose(np.sum(dx * u).real, step, rtol=1e-12)


@layers
def test_only_the_winners_are_saved(layer, shape, output):
    network = Network([layer], shape)
    plan = layer.plan(Spec((2, *shape)), network.backend.kernels)
    assert not plan.keeps
    assert not plan.scratch
    assert set(plan.saved) == ({"argmax"} if isinstance(layer, MaxPool2d | GlobalMaxPool2d) else set())


@backends
@pytest.mark.parametrize("layer", [AvgPool2d(2), MaxPool2d(2), GlobalAvgPool2d(), GlobalMaxPool2d()])
def test_nan_stays_visible(layer, backend):
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2))
    x[1, 1, 0, 1] = np.nan
    y = Network([layer], (4, 4, 2), backend=backend, dtype="float64")(x)
    assert np.isnan(y[1].reshape(-1, 2)[0, 1])
    assert np.isnan(y).sum() == 1


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MaxPool2d(5), (4, 6, 2), r"D/0 MaxPool2d: x of 4×6 pixels is 4×6 .* at least 5×5"),
        (AvgPool2d(2), (4, 6), r"D/0 AvgPool2d: x is float \(1, 4, 6\), expected real images"),
        (GlobalAvgPool2d(), (6,), r"D/0 GlobalAvgPool2d: x is float \(1, 6\), expected real images"),
        (GlobalMaxPool2d(), (6,), r"D/0 GlobalMaxPool2d: x is float \(1, 6\), expected real images"),
    ],
)
def test_wrong_shapes_name_the_layer(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        Network([layer], shape, name="D")


@pytest.mark.parametrize("kind", [AvgPool2d, MaxPool2d])
def test_wrong_settings(kind):
    with pytest.raises(ConfigError, match="kernel is 0"):
        kind(0)
    with pytest.raises(ConfigError, match="stride is 0"):
        kind(2, 0)
    with pytest.raises(ConfigError, match=r"padding is \(\(2, 2\), \(2, 2\)\), expected less than the kernel \(2, 3\)"):
        kind((2, 3), padding=2)


@pytest.mark.peer
@backends
@layers
def test_pytorch_agrees(layer, shape, output, backend):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)), rng.normal(size=(2, *output))
    y, pullback = Network([layer], shape, backend=backend, dtype="float64").vjp(x)
    dx, _ = pullback(dy)
    tx = torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), requires_grad=True)
    functional = torch.nn.functional
    if isinstance(layer, AvgPool2d | MaxPool2d):
        (top, bottom), (left, right) = layer._geometry((2, *shape))[2]
        average = isinstance(layer, AvgPool2d)
        padded = functional.pad(tx, (left, right, top, bottom), value=0 if average else -np.inf)
        ty = (functional.avg_pool2d if average else functional.max_pool2d)(padded, layer.kernel, layer.stride)
        if (top, left) == (bottom, right):
            ours = functional.avg_pool2d if average else functional.max_pool2d
            assert torch.equal(ours(tx, layer.kernel, layer.stride, (top, left)), ty)
        ty = ty.permute(0, 2, 3, 1)
    else:
        ty = tx.mean((2, 3)) if isinstance(layer, GlobalAvgPool2d) else tx.amax((2, 3))
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-14)
