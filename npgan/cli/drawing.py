"""Samples of a run, drawn and written in the format that a file's name asks for."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np

from npgan.backend.base import Array
from npgan.data import Dataset, Table, open_dataset
from npgan.errors import ConfigError, DataError
from npgan.training import pictures
from npgan.training.folder import write_atomically
from npgan.training.run import Run

FOLDER = "folder"
_KINDS = (".png", ".npz", ".csv", ".gif")
_GIF_MS = 60  # a frame


@dataclass(frozen=True)
class Target:
    """Where samples go, and in which format: ``".png"``, ``".npz"``, ``".csv"``, ``".gif"`` or ``"folder"``."""

    path: Path
    kind: str

    @classmethod
    def of(cls, text: str, force: bool) -> Target:
        """Return what a user means by `text`.

        Raises
        ------
        ConfigError
            Something is there already and `force` is not given, or the suffix is of no known format.
        """
        path = Path(text)
        if path.is_dir() or text.endswith("/") or not path.suffix:
            if path.exists() and not path.is_dir():
                raise ConfigError(f"--out {path} is a file, expected a folder or a name in {', '.join(_KINDS)}")
            if path.is_dir() and any(path.iterdir()) and not force:
                raise ConfigError(f"--out {path} is not empty; give another folder, or --force to write into it")
            return cls(path, FOLDER)
        kind = path.suffix.lower()
        if kind not in _KINDS:
            raise ConfigError(f"--out {path} ends in {path.suffix}, expected {', '.join(_KINDS)} or a folder")
        if path.exists() and not force:
            raise ConfigError(f"--out {path} exists already; give another name, or --force to overwrite it")
        return cls(path, kind)


def default_target(run: Run, interpolate: bool) -> Target:
    """Return a new file in the run's folder, in a format that suits its data."""
    if _drawable(run) or (len(run.facts.sample_shape) == 1 and run.facts.sample_shape[0] == 2 and not interpolate):
        kind = ".png"
    else:
        kind = ".csv" if len(run.facts.sample_shape) == 1 and not interpolate else ".npz"
    stem = "interpolation" if interpolate else "sample"
    names = (f"{stem}{kind}" if i == 1 else f"{stem}-{i}{kind}" for i in range(1, 1_000_000))
    return Target(next(path for path in (run.path / name for name in names) if not path.exists()), kind)


def check(run: Run, target: Target, interpolate: bool) -> None:
    """Raise ConfigError where the run's samples cannot be written in that format."""
    shape = run.facts.sample_shape
    if target.kind == ".gif" and not interpolate:
        raise ConfigError("a .gif shows an interpolation: give --interpolate too, or write a .png")
    if interpolate and target.kind in (".csv", FOLDER):
        raise ConfigError("an interpolation is written as .png, .gif or .npz")
    pictured = target.kind in (".gif", FOLDER) or (target.kind == ".png" and (interpolate or shape != (2,)))
    if pictured and not _drawable(run):
        raise ConfigError(f"a sample of this run is {shape}, which is no picture; write a .npz")
    if target.kind == ".csv" and len(shape) != 1:
        raise ConfigError(f"a sample of this run is {shape}, which is no row of a table; write a .png or .npz")


def _drawable(run: Run) -> bool:
    shape = run.facts.sample_shape
    return len(shape) == 3 and shape[2] in (1, 3)


def default_count(run: Run, label: int | None) -> int:
    """Return how many samples somebody wants who does not say."""
    shape, classes = run.facts.sample_shape, run.sampler.classes
    if len(shape) == 1:
        return 2500 if shape == (2,) else 1000
    if classes is None or label is not None:
        return 64
    return len(classes) * min(10, max(1, 200 // len(classes)))


def samples(run: Run, n: int, seed: int | None, label: int | None, *, rows: bool) -> tuple[Array, Array | None]:
    """Return samples (n, *sample_shape) and their labels (n,), or None where the generator reads none.

    Parameters
    ----------
    run : Run
    n : int
    seed : int or None
        Of the latents; the run's for None.
    label : int or None
        The class of all of them; for None, every class as often as every other.
    rows : bool
        Order the classes so that a picture has a row for each.
    """
    sampler = run.sampler
    if sampler.classes is None:
        return sampler.draw(n, seed=seed), None
    labels = sampler.labels(n) if rows else np.arange(n) % len(sampler.classes)
    if label is not None:
        labels = np.full(n, label)
    return sampler.draw(n, seed=seed, labels=labels), labels


def walks(run: Run, n: int, length: int, seed: int | None, label: int | None) -> tuple[Array, Array | None]:
    """Return walks (n, length, *sample_shape) between latents, and their labels (n,) or None."""
    sampler = run.sampler
    x = sampler.interpolate(n, length, seed=seed, label=label)
    if sampler.classes is None:
        return x, None
    return x, np.arange(n) % len(sampler.classes) if label is None else np.full(n, label)


def write(run: Run, target: Target, x: Array, labels: Array | None, interpolate: bool) -> None:
    """Write samples (n, *sample_shape), or walks (n, length, *sample_shape).

    Raises
    ------
    CheckpointError
        The file cannot be written.
    DataError
        A CSV file wants the units of the table that the run was trained on, and it cannot be read.
    """
    target.path.parent.mkdir(parents=True, exist_ok=True)
    if target.kind == ".npz":
        file = BytesIO()
        np.savez(file, x=x) if labels is None else np.savez(file, x=x, labels=labels)
        write_atomically(target.path, file.getvalue())
    elif target.kind == ".csv":
        write_atomically(target.path, _csv(run, x, labels).encode())
    elif run.facts.sample_shape == (2,):
        pictures.write_png(target.path, pictures.scatter_picture(x, _real_points(run, len(x))))
    else:
        images = pictures.to_uint8(x, run.facts.value_range or (-1.0, 1.0))
        if target.kind == FOLDER:
            _write_folder(target.path, images, labels, run.sampler.classes)
        elif target.kind == ".gif":
            forth = [pictures.grid(images[:, i]) for i in range(images.shape[1])]
            pictures.write_gif(target.path, [*forth, *forth[-2:0:-1]], _GIF_MS)
        elif interpolate:
            pictures.write_png(target.path, pictures.grid(images.reshape(-1, *images.shape[2:]), images.shape[1]))
        else:
            one_class = labels is not None and len(np.unique(labels)) == 1
            columns = None if one_class else run.sampler.columns(len(images))
            pictures.write_png(target.path, pictures.grid(images, columns))


def _write_folder(folder: Path, images: Array, labels: Array | None, classes: Sequence[str] | None) -> None:
    """Write single PNGs, in a sub-folder for each class, as data sets of images are laid out."""
    folder.mkdir(exist_ok=True)
    names = [] if classes is None else _folder_names(classes)
    width = max(5, len(str(len(images) - 1)))
    for i, image in enumerate(images):
        place = folder if labels is None else folder / names[labels[i]]
        place.mkdir(exist_ok=True)
        (place / f"{i:0{width}d}.png").write_bytes(pictures.encode_png(image))


def _folder_names(classes: Sequence[str]) -> list[str]:
    """Return the classes' names as names of folders, or their numbers where that would not tell them apart."""
    names = [re.sub(r"[^\w.-]+", "-", name).strip(".-") for name in classes]
    different = len({name.casefold() for name in names}) == len(names) and all(names)
    return names if different else [str(i) for i in range(len(names))]


def _dataset(run: Run) -> Dataset:
    data = run.config.data
    return open_dataset(
        data.name,
        data_dir=data.dir,
        split=data.split,
        random_seed=run.config.seed,
        image_size=data.image_size,
        grayscale=data.grayscale or None,
    )


def _real_points(run: Run, n: int) -> Array | None:
    """Return up to n real points for comparison, or None where the data are not there any more."""
    try:
        dataset = _dataset(run)
        n = n if dataset.endless else min(n, len(dataset))
        real = np.empty((n, *dataset.sample_shape), np.float64)
        dataset.batch(np.arange(n), real)
    except DataError:
        return None
    return real if real.shape[1:] == (2,) else None


def _csv(run: Run, x: Array, labels: Array | None) -> str:
    """Return points or rows as CSV, a table's with its header and in its units."""
    try:
        dataset = _dataset(run)
    except DataError as error:
        raise DataError(
            f"a .csv needs the data of the run, for its columns and units; write a .npz ({error})"
        ) from error
    names: Sequence[str] = [f"x{i}" for i in range(1, x.shape[1] + 1)]
    if isinstance(dataset, Table):
        x, names = dataset.to_units(x), dataset.columns
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = run.sampler.classes
    if labels is None or classes is None:
        writer.writerows([names, *([f"{value:.9g}" for value in row] for row in x)])
    else:
        writer.writerow([*names, "label"])
        writer.writerows([*(f"{value:.9g}" for value in row), classes[k]] for row, k in zip(x, labels, strict=True))
    return text.getvalue()
