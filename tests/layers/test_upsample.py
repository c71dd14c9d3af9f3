"""Upsample2d: sizes, gradients, errors, PyTorch."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.base import Spec
from npgan.layers.upsample import Upsample2d
from npgan.network import Network

backends = pytest.mark.parametrize("backend", ["reference", "cpu"])
modes = pytest.mark.parametrize("mode", ["nearest", "bilinear"])
factors = pytest.mark.parametrize("factor", [1, 2, 3, (2, 1), (1, 4)], ids=str)


@modes
def test_output_shape_and_memory(mode):
    network = Network([Upsample2d((2, 3), mode)], (4, 5, 6))
    assert network.output_shape == (8, 15, 6)
    plan = Upsample2d((2, 3), mode).plan(Spec((1, 4, 5, 6)), network.backend.kernels)
    assert not plan.keeps
    assert not plan.saved
    assert not plan.scratch


@backends
@modes
@factors
@pytest.mark.parametrize("shape", [(3, 4, 2), (1, 2, 1)], ids=str)
def test_gradients(factor, mode, backend, shape):
    check(Upsample2d(factor, mode), shape, batch=2, backend=backend)


@modes
@factors
@pytest.mark.parametrize("shape", [(3, 4, 2), (1, 2, 1)], ids=str)
def test_rmaps(factor, mode, shape, check_rmaps):
    check_rmaps(Upsample2d(factor, mode), shape, batch=2)


@backends
def test_known_values(backend):
    x = np.array([0.0, 4.0, 8.0]).reshape(1, 1, 3, 1)

    def row(mode):
        return Network([Upsample2d((1, 2), mode)], (1, 3, 1), backend=backend, dtype="float64")(x)[0, 0, :, 0]

    np.testing.assert_array_equal(row("nearest"), [0, 0, 4, 4, 8, 8])
    np.testing.assert_array_equal(row("bilinear"), [0, 1, 3, 5, 7, 8])


@modes
def test_gradients_by_the_complex_step(mode):
    h, rng = 1e-20, np.random.default_rng(0)
    network = Network([Upsample2d((2, 3), mode)], (3, 4, 2), backend="reference", dtype="complex128")
    x, dy, u = (rng.normal(size=s).astype(complex) for s in ((2, 3, 4, 2), (2, 6, 12, 2), (2, 3, 4, 2)))
    p = network.new_pass(2)
    p.forward(x)
    dx = p.backward(dy).copy()
    step = np.sum(dy * p.forward(x + 1j * h * u)).imag / h
    np.testing.assert_allclose(np.sum(dx * u).real, step, rtol=1e-12)


def test_errors():
    with pytest.raises(ShapeError, match=r"G/0 Upsample2d: x is float \(1, 4\), expected real images"):
        Network([Upsample2d(2)], (4,), name="G")
    with pytest.raises(ConfigError, match="factor is 0"):
        Upsample2d(0)
    with pytest.raises(ConfigError, match=r"factor is 1\.5"):
        Upsample2d(1.5)
    with pytest.raises(ConfigError, match="mode is 'cubic'"):
        Upsample2d(2, "cubic")


@pytest.mark.peer
@backends
@modes
@factors
def test_pytorch_agrees(factor, mode, backend):
    torch = pytest.importorskip("torch")
    layer, rng = Upsample2d(factor, mode), np.random.default_rng(0)
    network = Network([layer], (3, 4, 2), backend=backend, dtype="float64")
    x, dy = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, *network.output_shape))
    y, pullback = network.vjp(x)
    dx, _ = pullback(dy)
    tx = torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), requires_grad=True)
    options = {"align_corners": False} if mode == "bilinear" else {}
    ty = torch.nn.functional.interpolate(tx, scale_factor=layer.factor, mode=mode, **options).permute(0, 2, 3, 1)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-13)
