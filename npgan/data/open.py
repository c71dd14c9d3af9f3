"""From a name or a path to a data set."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from npgan.data import cifar, idx, npz
from npgan.data.dataset import ArrayDataset, Dataset
from npgan.data.digits import open_digits
from npgan.data.download import RemoteFile, fetch
from npgan.data.files import read_start
from npgan.data.images import SUFFIXES, ImageFolder
from npgan.data.mixture import grid, open_mixture, ring, spiral
from npgan.data.table import open_csv
from npgan.errors import ConfigError, DataError

SPLITS = ("train", "test")


def _mnist_like(
    name: str,
    mirrors: tuple[str, ...],
    files: tuple[RemoteFile, ...],
    classes: tuple[str, ...] | None,
    *,
    data_dir: Path | None,
    split: str,
) -> Dataset:
    images, labels = idx.file_names(split)
    wanted = tuple(file for file in files if file.name in (f"{images}.gz", f"{labels}.gz"))
    for folder in _places(name, data_dir) if data_dir else [fetch(name, mirrors, wanted)]:
        pair = idx.find(folder, images), idx.find(folder, labels)
        if pair[0] and pair[1]:
            return idx.open_idx_pair(pair[0], pair[1], name=name, classes=classes)
    raise _not_there(name, data_dir, [f"{images}.gz", f"{labels}.gz"])


def _cifar10(mirrors: tuple[str, ...], archive: RemoteFile, *, data_dir: Path | None, split: str) -> Dataset:
    for folder in _places("cifar10", data_dir) if data_dir else [fetch("cifar10", mirrors, [archive])]:
        paths = cifar.find_split(folder, split)
        if paths:
            return cifar.open_split(paths, "cifar10")
        if (folder / archive.name).exists():
            return cifar.open_archive(folder / archive.name, split, "cifar10")
    raise _not_there("cifar10", data_dir, [archive.name, f"or {' '.join(cifar.FILES[split])}"])


def _places(name: str, data_dir: Path) -> list[Path]:
    return [data_dir, data_dir / name]


def _not_there(name: str, data_dir: Path | None, files: list[str]) -> DataError:
    return DataError(f"{name}: {data_dir} has no {', '.join(files)}; put the files there, or into {name}/ in it")


_FASHION = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

# What is known by name: a new data set is one new entry. Those with an argument `split` come as train and test,
# those with `data_dir` are looked for there before they are downloaded; other keyword arguments are the options
# that a user may give.
DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": open_digits,
    "ring-8": ring,
    "grid-25": grid,
    "spiral": spiral,
    "mnist": partial(
        _mnist_like,
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        (
            RemoteFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            RemoteFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            RemoteFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            RemoteFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ),
        tuple("0123456789"),
    ),
    "fashion-mnist": partial(
        _mnist_like,
        "fashion-mnist",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        (
            RemoteFile("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
            RemoteFile("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
            RemoteFile("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
            RemoteFile("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        ),
        _FASHION,
    ),
    "cifar10": partial(
        _cifar10,
        ("https://www.cs.toronto.edu/~kriz/",),
        RemoteFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
    ),
}


def open_dataset(
    source: str | Path | Dataset | np.ndarray[Any, Any],
    *,
    data_dir: str | Path | None = None,
    split: str = "train",
    random_seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    grayscale: bool | None = None,
    values: tuple[float, float] | None = None,
    **options: Any,
) -> Dataset:
    """Return the data set that `source` names.

    Parameters
    ----------
    source : str, Path, Dataset or array
        A name of `DATASETS`; the path of a file (IDX, .npy, .npz, CIFAR-10 .bin, CSV, or a mixture in TOML or
        JSON); the path of a folder (of images, of MNIST's four files or of CIFAR-10's); a Dataset, which is
        returned; an array (N, F), (N, H, W) or (N, H, W, C). A name wins over a file of the same name: write
        ``./mnist`` for a folder.
    data_dir : path, optional
        For ``mnist``, ``fashion-mnist`` and ``cifar10``: a folder with the published files, or with a folder of
        them that has the set's name. Not given, they are downloaded once into the user's cache.
    split : {"train", "test"}
        For sets that come in two parts; the others have only "train".
    random_seed : int
        For mixtures: which samples are drawn.
    image_size, grayscale
        For folders of images; see `ImageFolder`.
    values : (black, white), optional
        For arrays of images that are not uint8; see `ArrayDataset`.
    **options
        Of the named mixtures: ``radius``, ``sigma``, ``extent``, ``turns``.

    Raises
    ------
    DataError
        No such set or file, or a file that is truncated, oversized, mislabelled or hostile.
    ConfigError
        An option that `source` does not have.
    """
    if split not in SPLITS:
        raise ConfigError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    given = {"image_size": image_size, "grayscale": grayscale, "values": values, **options}
    given = {option: value for option, value in given.items() if value is not None}
    if isinstance(source, Dataset):
        return _call("a Dataset", lambda: source, given, split)
    if isinstance(source, np.ndarray):
        return _call("an array", partial(ArrayDataset, source), given, split)
    if str(source) in DATASETS:
        where = None if data_dir is None else Path(data_dir).expanduser()
        return _call(str(source), DATASETS[str(source)], given, split, seed=random_seed, data_dir=where)
    path = Path(source).expanduser()
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # a name too long, a NUL in it
        raise DataError(f"{str(source)[:80]!r}: cannot be a path ({error})") from error
    if is_folder:
        return _call(str(path), partial(_open_folder, path, split), given)
    if not exists:
        raise _unknown(str(source))
    return _call(str(path), partial(_file_opener(path), path), given, split, seed=random_seed)


def _call(
    what: str, opener: Callable[..., Dataset], given: dict[str, Any], split: str = "train", **context: Any
) -> Dataset:
    """Call `opener` with the options it has, and refuse those it does not have."""
    has = _keywords(opener)
    unknown = [option for option in given if option not in has or option in context or option == "split"]
    if unknown:
        options = ", ".join(sorted(has - set(context) - {"split"})) or "none"
        raise ConfigError(f"{what}: has no option {', '.join(unknown)}; its options: {options}")
    if "split" not in has and split != "train":
        raise ConfigError(f"{what}: is not divided into train and test")
    context = {name: value for name, value in {"split": split, **context}.items() if name in has}
    return opener(**given, **context)


def _keywords(opener: Callable[..., Dataset]) -> set[str]:
    return {
        name
        for name, parameter in inspect.signature(opener).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    } - {"name", "labels", "classes"}


def _open_folder(
    path: Path, split: str, *, image_size: int | tuple[int, int] | None = None, grayscale: bool | None = None
) -> Dataset:
    images, labels = (idx.find(path, name) for name in idx.file_names(split))
    batches = cifar.find_split(path, split)
    if not images and not batches:
        if split != "train":
            raise ConfigError(f"{path}: a folder of images is not divided into train and test; give the folder of one")
        return ImageFolder(path, image_size=image_size, grayscale=grayscale)
    if image_size is not None or grayscale is not None:
        raise ConfigError(
            f"{path}: image_size and grayscale are for folders of images; this one holds {images or batches}"
        )
    if images:
        return idx.open_idx_pair(images, labels, name=path.name)
    assert batches is not None
    return cifar.open_split(batches, path.name)


_BY_SUFFIX: dict[str, Callable[..., Dataset]] = {
    ".csv": open_csv,
    ".tsv": open_csv,
    ".toml": open_mixture,
    ".json": open_mixture,
    ".bin": cifar.open_cifar,
}


def _file_opener(path: Path) -> Callable[..., Dataset]:
    """Return the reader of a file: by its contents where they tell, otherwise by its suffix."""
    suffix = path.suffix.lower()
    start = read_start(path, 8)
    if start.startswith(npz.NPY_MAGIC):
        return npz.open_npy
    if start.startswith(npz.ZIP_MAGIC):
        return npz.open_npz
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if start.startswith(idx.GZIP_MAGIC) or (start[:2] == b"\0\0" and start[2:3] and start[2] in idx.TYPES):
        return idx.open_idx
    if suffix in SUFFIXES:
        raise DataError(f"{path}: is one image; give the folder that holds the images")
    raise DataError(
        f"{path}: is of no known kind (starts with {start.hex(' ') or 'nothing'}); expected IDX (.gz), .npy, .npz, "
        "CIFAR-10 .bin, .csv, a mixture in .toml or .json, or a folder"
    )


def _unknown(source: str) -> DataError:
    close = difflib.get_close_matches(source.lower(), DATASETS, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return DataError(
        f"{source[:200]!r} is neither a file or folder nor a known data set ({', '.join(DATASETS)}).{hint}"
    )
