import numpy as np
import pytest

from npgan.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from npgan.optimizers import Ema

backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


@backends
@pytest.mark.parametrize("warmup", [1, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_recurrence(backend, warmup, dtype):
    rng = np.random.default_rng(0)
    ema = Ema(7, dtype, decay=0.8, warmup=warmup, backend=backend)
    expected = np.zeros(7)
    for t in range(60):
        theta = rng.normal(size=7).astype(dtype)
        d = min(0.8, (1 + t) / (warmup + t)) if t else 0.0
        expected = d * expected + (1 - d) * theta
        ema.update(theta)
        if t == 0:
            np.testing.assert_array_equal(ema.mean, theta)
            assert not np.shares_memory(ema.mean, theta)
    assert ema.mean.dtype == dtype
    np.testing.assert_allclose(ema.mean, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@backends
def test_a_loaded_state_goes_on_with_the_same_bits(backend):
    thetas = np.random.default_rng(1).normal(size=(8, 5)).astype(np.float32)
    straight, stopped, resumed = (Ema(5, decay=0.9, backend=backend) for _ in range(3))
    for theta in thetas:
        straight.update(theta)
    for theta in thetas[:3]:
        stopped.update(theta)
    resumed.load_state({"mean": stopped.state()["mean"].copy()}, stopped.t)
    for theta in thetas[3:]:
        resumed.update(theta)
    assert resumed.mean.tobytes() == straight.mean.tobytes()


def test_errors():
    ema = Ema(3)
    with pytest.raises(ShapeError, match=r"Ema: theta is \(4,\)"):
        ema.update(np.zeros(4, np.float32))
    with pytest.raises(DTypeError, match="theta is float64"):
        ema.update(np.zeros(3))
    with pytest.raises(CheckpointError):
        ema.load_state({"average": np.zeros(3, np.float32)}, 1)
    with pytest.raises(ShapeError):
        ema.load_state({"mean": np.zeros(4, np.float32)}, 1)
    for options in ({"decay": 1}, {"decay": -0.1}, {"warmup": 0.5}, {"decay": np.nan}):
        with pytest.raises(ConfigError, match=f"Ema: {next(iter(options))} is"):
            Ema(3, **options)


def test_a_nan_stays_visible():
    ema = Ema(2, decay=0.5)
    ema.update(np.ones(2, np.float32))
    ema.update(np.array([1, np.nan], np.float32))
    np.testing.assert_array_equal(np.isnan(ema.mean), [False, True])
