import gzip
import hashlib
import io
import os
import struct
from functools import partial

import numpy as np
import pytest
from PIL import Image

from npgan.data import DATASETS, ArrayDataset, ImageFolder, Mixture, Table, open_dataset
from npgan.data.download import RemoteFile
from npgan.errors import ConfigError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.arange(6, dtype=np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_files(pack=True):
    files = {}
    for part, images in (("train", IMAGES), ("t10k", IMAGES[:2])):
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx(LABELS[: len(images)])
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()} if pack else files


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def png(level):
    target = io.BytesIO()
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize("name", ["ring-8", "grid-25", "spiral", "digits"])
def test_names(name):
    assert open_dataset(name).name == name


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("place", ["", "named"])
@pytest.mark.parametrize("pack", [False, True])
def test_data_dir(tmp_path, read, name, place, pack):
    put(tmp_path / (name if place else ""), mnist_files(pack))
    train = open_dataset(name, data_dir=str(tmp_path))
    test = open_dataset(name, data_dir=tmp_path, split="test")
    assert (len(train), len(test)) == (6, 2)
    assert len(train.classes) == 10
    out, labels = read(train)
    np.testing.assert_array_equal(out[..., 0], IMAGES / 127.5 - 1)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("place", ["", "cifar10", "cifar-10-batches-bin"])
def test_cifar_data_dir(tmp_path, place):
    record = bytes([3]) + bytes(range(256)) * 12
    put(tmp_path / place, {f"data_batch_{i}.bin": record * i for i in range(1, 6)} | {"test_batch.bin": record})
    assert len(open_dataset("cifar10", data_dir=tmp_path)) == 15
    assert len(open_dataset("cifar10", data_dir=tmp_path, split="test")) == 1
    if place != "cifar10":
        assert len(open_dataset(tmp_path)) == 15


@pytest.mark.parametrize(("name", "file"), [("mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "data_batch_1.bin")])
def test_data_dir_without_the_files(tmp_path, name, file):
    with pytest.raises(DataError, match=f"{name}: .* has no .*{file}.*; put the files there, or into {name}/"):
        open_dataset(name, data_dir=tmp_path)


def test_download(tmp_path, monkeypatch, read):
    files = mnist_files()
    known = tuple(RemoteFile(name, hashlib.md5(content).hexdigest(), len(content)) for name, content in files.items())
    monkeypatch.setenv("NPGAN_CACHE_DIR", str(tmp_path))
    opener = DATASETS["mnist"]
    put(tmp_path / "data" / "mnist", files)  # what a download leaves there
    monkeypatch.setitem(
        DATASETS, "mnist", partial(opener.func, "mnist", ("http://127.0.0.1:9/",), known, *opener.args[3:])
    )
    np.testing.assert_array_equal(read(open_dataset("mnist"))[1], LABELS)
    (tmp_path / "data" / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    assert len(open_dataset("mnist", split="test")) == 2  # needs two of the four files
    with pytest.raises(DataError, match=r"put train-images-idx3-ubyte\.gz, train-labels-idx1-ubyte\.gz into a folder"):
        open_dataset("mnist")


def test_paths(tmp_path):
    put(tmp_path, mnist_files(pack=False))
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez(tmp_path / "a.npz", x=IMAGES)
    np.savez(tmp_path / "misnamed.npy", x=IMAGES)
    (tmp_path / "misnamed.npy.npz").rename(tmp_path / "misnamed.npy")
    put(tmp_path / "pictures", {"a.png": png(3), "b.png": png(4)})
    put(
        tmp_path,
        {
            "packed.gz": gzip.compress(idx(IMAGES)),
            "a.csv": b"1,2\n3,4\n",
            "a.tsv": b"1\t2\n3\t4\n",
            "a.bin": bytes(3073),
            "a.toml": b"means = [[0.0]]\nstds = 1",
            "a.json": b'{"means": [[0, 1, 2]], "stds": 1}',
        },
    )
    expected = {
        "train-images-idx3-ubyte": ArrayDataset, "packed.gz": ArrayDataset, "a.npy": ArrayDataset,
        "a.npz": ArrayDataset, "misnamed.npy": ArrayDataset, "a.csv": Table, "a.tsv": Table, "a.bin": ArrayDataset,
        "a.toml": Mixture, "a.json": Mixture, "pictures": ImageFolder, ".": ArrayDataset,
    }  # fmt: skip
    for name, kind in expected.items():
        assert type(open_dataset(tmp_path / name)) is kind, name
    assert len(open_dataset(tmp_path, split="test")) == 2
    assert open_dataset(tmp_path / "train-images-idx3-ubyte").classes == tuple("012345")


def test_names_win_over_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "ring-8", {"a.png": png(3), "b.png": png(4)})
    assert type(open_dataset("ring-8")) is Mixture
    assert type(open_dataset("./ring-8")) is ImageFolder


def test_datasets_and_arrays():
    dataset = open_dataset("ring-8")
    assert open_dataset(dataset) is dataset
    assert open_dataset(IMAGES).sample_shape == (28, 28, 1)
    assert open_dataset(IMAGES / 16, values=(0, 16)).value_range == (-1, 1)


def test_seed_and_options():
    out = np.empty((3, 4, 2))
    for row, options in zip(out, [{}, {"random_seed": 1}, {"radius": 2.0, "sigma": 0.5}], strict=True):
        open_dataset("ring-8", **options).batch(np.arange(4), row)
    assert (out[0] != out[1]).all()
    assert (out[0] != out[2]).all()


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("ring-8", {"radus": 2}, "ring-8: has no option radus; its options: radius, sigma$"),
        ("ring-8", {"seed": 2}, "has no option seed"),
        ("ring-8", {"image_size": 8}, "has no option image_size"),
        ("digits", {"radius": 2}, "digits: has no option radius; its options: none"),
        ("mnist", {"image_size": 8}, "mnist: has no option image_size; its options: none"),
        ("digits", {"split": "test"}, "digits: is not divided"),
        ("digits", {"split": "validation"}, "split is 'validation', expected one of train, test"),
        (IMAGES, {"radius": 2}, "an array: has no option radius; its options: values"),
        (IMAGES, {"split": "test"}, "an array: is not divided"),
    ],
)
def test_options_that_are_none(source, options, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(source, **options)


def test_options_of_files_that_are_none(tmp_path):
    put(tmp_path / "pictures", {"a.png": png(3)})
    put(tmp_path / "mnist", mnist_files())
    np.save(tmp_path / "a.npy", IMAGES)
    for name, options in [
        ("pictures", {"values": (0, 1)}),
        ("pictures", {"split": "test"}),
        ("mnist", {"image_size": 8}),
        ("a.npy", {"grayscale": True}),
        ("a.npy", {"split": "test"}),
    ]:
        with pytest.raises(ConfigError, match=name):
            open_dataset(tmp_path / name, **options)
    assert open_dataset(tmp_path / "pictures", image_size=8, grayscale=False).sample_shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnits", r"known data set \(digits, ring-8, .*cifar10\)\. Did you mean mnist"),
        ("Fashion_MNIST", "Did you mean fashion-mnist"),
        ("no/such/file.npy", "neither a file or folder nor a known data set"),
        ("a" * 5000, "cannot be a path|neither"),
        ("a\0b", "cannot be a path|neither"),
        ("", "holds no images|neither|images"),
    ],
)
def test_unknown(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        open_dataset(source)


def test_files_of_no_kind(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    put(tmp_path, {"a.png": png(0), "a.txt": b"hello", "empty": b"", "a.zip": b"PK\5\6" + bytes(18)})
    for name, message in [
        ("a.png", "is one image; give the folder"),
        ("a.txt", "is of no known kind"),
        ("empty", "starts with nothing"),
        ("a.zip", "is of no known kind"),
        ("pipe.csv", "is a pipe"),
    ]:
        with pytest.raises(DataError, match=message):
            open_dataset(tmp_path / name)


def test_fuzz_any_kind(fuzz, tmp_path):
    """A file's first bytes choose its reader: damage there sends it to another one."""
    arrays = io.BytesIO()
    np.savez_compressed(arrays, x=IMAGES[:, :4, :4])
    array = io.BytesIO()
    np.save(array, IMAGES[:, :4, :4])
    examples = [arrays.getvalue(), array.getvalue(), idx(IMAGES[:, :4, :4]), gzip.compress(idx(IMAGES[:, :4, :4]))]
    fuzz(open_dataset, examples, 4000, name="fuzz")
