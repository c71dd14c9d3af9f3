"""Batches made on a device against the host's, by the emulator where there is no GPU."""

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.data import ArrayDataset, Augment, DeviceLoader, Loader
from npgan.data.device import resident_bytes
from npgan.data.mixture import ring
from npgan.errors import ConfigError
from npgan.kernels.pixels import reference

rng = np.random.default_rng(3)
PICTURES = rng.integers(0, 256, (37, 6, 5, 3)).astype(np.uint8)
CLASSES = rng.integers(0, 3, 37)
SETS = {
    "pictures": ArrayDataset(PICTURES, CLASSES),
    "of 17 values": ArrayDataset(PICTURES[..., :1] % 17, values=(0.0, 16.0)),
    "from 3 on": ArrayDataset(PICTURES[..., 0] % 7 + 3, values=(3.0, 9.0)),
    "points in bytes": ArrayDataset(PICTURES[:, 0, :, 0], CLASSES),
    "floats": ArrayDataset((PICTURES / 255).astype(np.float64), CLASSES),
    "mixture": ring(),
}


@pytest.fixture(scope="module")
def backend(cupy):
    return get_backend("gpu")


def loaders(backend, name, room, **options):
    options.setdefault("dtype", "float32")
    host = get_backend("cpu").random(11)
    data = SETS[name]
    return Loader(data, 8, host, **options), DeviceLoader(data, 8, host, backend, room=room, **options)


def agree(backend, host, device, cursors, **tolerance):
    for cursor in cursors:
        expected, found = host.get(cursor), device.get(cursor)
        x = backend.to_host(found.x)
        assert x.dtype == expected.x.dtype
        if tolerance:
            np.testing.assert_allclose(x, expected.x, **tolerance)
        else:
            np.testing.assert_array_equal(x, expected.x)
        if expected.labels is None:
            assert found.labels is None
        else:
            np.testing.assert_array_equal(backend.to_host(found.labels), expected.labels)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("room", [0, 10**9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_have_the_bits_of_the_hosts(backend, name, room, dtype, prefetch):
    host, device = loaders(backend, name, room, dtype=dtype, prefetch=prefetch)
    with host:
        agree(backend, host, device, [0, 1, 2, 3, 9, 4, 4, 0])
    device.close()
    assert device.resident == (room > 0 and name not in ("floats", "mixture"))
    assert device.batches_per_epoch == host.batches_per_epoch


@pytest.mark.parametrize("room", [0, 10**9])
def test_balanced_and_in_order(backend, room):
    for options in ({"balanced": True}, {"shuffle": False}):
        host, device = loaders(backend, "pictures", room, prefetch=0, **options)
        agree(backend, host, device, range(6))


@pytest.mark.parametrize("room", [0, 10**9])
@pytest.mark.parametrize(
    ("augment", "tolerance"),
    [
        (Augment(flip=True), {}),
        (Augment(shift=0.3), {"atol": 1e-6}),
        (Augment(True, 180.0, 0.4, 0.5), {"atol": 1e-6}),
    ],
)
def test_augmented_as_on_the_host(backend, room, augment, tolerance):
    host, device = loaders(backend, "pictures", room, augment=augment, prefetch=0)
    agree(backend, host, device, range(5), **tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_against_the_reference(backend, dtype):
    x = PICTURES.reshape(37, -1)
    rows, draws = rng.integers(0, 37, 9), rng.random((37, 5))
    k, up = backend.kernels.pixels, backend.asarray
    for chosen in (None, rows):
        expected = np.empty((37 if chosen is None else 9, 90), dtype)
        out = backend.empty(expected.shape, dtype)
        reference.scale(expected, x, chosen, 3.0, 7.7)
        k.scale(out, up(x), None if chosen is None else up(chosen), 3.0, 7.7)
        np.testing.assert_array_equal(backend.to_host(out), expected)
    pictures = rng.normal(size=PICTURES.shape).astype(dtype)
    expected, out = np.empty_like(pictures), backend.empty(pictures.shape, dtype)
    reference.augment(expected, pictures, draws, True, 50.0, 0.2, 0.3)
    k.augment(out, up(pictures), up(draws), True, 50.0, 0.2, 0.3)
    np.testing.assert_allclose(backend.to_host(out), expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)


def test_a_batch_stays_until_the_next_but_one(backend):
    _, device = loaders(backend, "pictures", 0)
    first = device.get(0)
    before = backend.to_host(first.x).copy(), backend.to_host(first.labels).copy()
    device.get(1)
    np.testing.assert_array_equal(backend.to_host(first.x), before[0])
    np.testing.assert_array_equal(backend.to_host(first.labels), before[1])
    device.close()


def test_what_it_takes(backend):
    assert resident_bytes(SETS["pictures"]) == PICTURES.nbytes + 8 * 37
    assert resident_bytes(SETS["of 17 values"]) == 37 * 30
    assert resident_bytes(SETS["floats"]) == resident_bytes(SETS["mixture"]) == 0
    with pytest.raises(ConfigError, match="no augment here"):
        loaders(backend, "points in bytes", 0, augment=Augment(flip=True))
