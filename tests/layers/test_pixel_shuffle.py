"""PixelShuffle and PixelUnshuffle: inverses, gradients, errors, PyTorch."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.base import Spec
from npgan.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle
from npgan.network import Network

backends = pytest.mark.parametrize("backend", ["reference", "cpu"])
CASES = [
    (PixelShuffle(2), (2, 3, 8), (4, 6, 2)),
    (PixelShuffle(3), (1, 2, 9), (3, 6, 1)),
    (PixelShuffle(1), (2, 3, 2), (2, 3, 2)),
    (PixelUnshuffle(2), (4, 6, 2), (2, 3, 8)),
    (PixelUnshuffle(3), (3, 6, 1), (1, 2, 9)),
]
layers = pytest.mark.parametrize(("layer", "shape", "output"), CASES, ids=repr)


@layers
def test_output_shape_and_memory(layer, shape, output):
    network = Network([layer], shape)
    assert network.output_shape == output
    plan = layer.plan(Spec((1, *shape)), network.backend.kernels)
    assert not plan.keeps
    assert not plan.saved
    assert not plan.scratch


@backends
@layers
def test_gradients(layer, shape, output, backend):
    check(layer, shape, batch=2, backend=backend)


@layers
def test_rmaps(layer, shape, output, check_rmaps):
    check_rmaps(layer, shape, batch=2)


@backends
@layers
def test_the_other_is_the_inverse(layer, shape, output, backend):
    other = PixelUnshuffle if isinstance(layer, PixelShuffle) else PixelShuffle
    network = Network([layer, other(layer.factor)], shape, backend=backend)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(network(x), x)


def test_errors():
    with pytest.raises(ShapeError, match=r"G/0 PixelShuffle: x has 6 channels, expected a multiple of factor² = 4"):
        Network([PixelShuffle(2)], (2, 2, 6), name="G")
    with pytest.raises(ShapeError, match=r"D/0 PixelUnshuffle: x is 4×5 pixels, expected multiples of the factor 2"):
        Network([PixelUnshuffle(2)], (4, 5, 1), name="D")
    with pytest.raises(ShapeError, match=r"D/0 PixelUnshuffle: x is float \(1, 4\), expected real images"):
        Network([PixelUnshuffle(2)], (4,), name="D")
    for kind in (PixelShuffle, PixelUnshuffle):
        with pytest.raises(ConfigError, match="factor is 0"):
            kind(0)


@pytest.mark.peer
@backends
@layers
def test_pytorch_agrees(layer, shape, output, backend):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, *shape))
    functional = torch.nn.functional
    theirs = functional.pixel_shuffle if isinstance(layer, PixelShuffle) else functional.pixel_unshuffle
    ty = theirs(torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), layer.factor)
    y = Network([layer], shape, backend=backend, dtype="float64")(x)
    np.testing.assert_array_equal(y, ty.numpy().transpose(0, 2, 3, 1))
