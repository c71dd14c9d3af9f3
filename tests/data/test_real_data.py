"""Published data sets, where NPGAN_TEST_DATA names a folder that has them."""

import hashlib

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.data import DATASETS, Loader, open_dataset


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_registered_checksums(data_root, name):
    for file in DATASETS[name].args[2]:
        content = (data_root / name / file.name).read_bytes()
        assert (hashlib.md5(content).hexdigest(), len(content)) == (file.md5, file.size)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist(data_root, name):
    train = open_dataset(name, data_dir=data_root)
    test = open_dataset(name, data_dir=data_root / name, split="test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.sample_shape == (28, 28, 1)
    assert len(train.classes) == 10
    out, total, squares = np.empty((10_000, 28, 28, 1)), 0.0, 0.0
    for part in range(6):
        train.batch(np.arange(10_000 * part, 10_000 * (part + 1)), out)
        total, squares = total + (out / 2 + 0.5).mean() / 6, squares + ((out / 2 + 0.5) ** 2).mean() / 6
    # What everyone normalises the training images with.
    expected = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}[name]
    np.testing.assert_allclose((total, np.sqrt(squares - total**2)), expected, rtol=0, atol=6e-5)
    if name == "mnist":
        assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    else:
        assert np.bincount(train.labels).tolist() == [6000] * 10


def test_cifar(data_root):
    dataset = open_dataset(data_root / "cifar10-subset" / "train_first4000.bin")
    assert len(dataset) == 4000
    out = np.empty((4000, 32, 32, 3))
    dataset.batch(np.arange(4000), out)
    np.testing.assert_allclose((out / 2 + 0.5).mean(axis=(0, 1, 2)), [0.4914, 0.4822, 0.4465], atol=0.005)
    # Planes read as pixels would look like noise: neighbours in a photograph are alike.
    assert np.abs(np.diff(out, axis=2)).mean() < 0.12


def test_eurosat(data_root):
    dataset = open_dataset(data_root / "eurosat-rgb-test")
    assert dataset.sample_shape == (64, 64, 3)
    assert np.bincount(dataset.labels).tolist() == [317, 312, 312, 244, 232, 206, 259, 263, 255, 300]
    with Loader(dataset, 40, get_backend("reference").random(0), balanced=True) as loader:
        batch = loader.get(0)
        assert np.bincount(batch.labels).tolist() == [4] * 10
        assert -1 <= batch.x.min() < batch.x.max() <= 1
    small = open_dataset(data_root / "eurosat-rgb-test", image_size=8, grayscale=True)
    assert small.sample_shape == (8, 8, 1)


@pytest.mark.parametrize(("name", "shape"), [("letter", (20_000, 16)), ("spam", (4601, 57))])
def test_tables(data_root, name, shape):
    path = data_root / "uci-gain" / f"{name}.csv"
    table = open_dataset(path)
    out = np.empty(shape)
    table.batch(np.arange(shape[0]), out)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(out.std(axis=0), 1, rtol=1e-9)
    raw = np.loadtxt(path, delimiter=",", skiprows=1)
    np.testing.assert_allclose(table.to_units(out), raw, rtol=1e-9, atol=1e-9)
