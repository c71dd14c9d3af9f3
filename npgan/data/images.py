"""Folders of images: PNG, JPEG, PGM and PPM; one sub-folder a class, or all in one folder without classes.

The pictures are decoded when a batch needs them; a folder whose pictures fit in 256 MiB keeps them once decoded.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend import Array
from npgan.data.dataset import Dataset
from npgan.data.files import file_size
from npgan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm")

_FORMATS = ("PNG", "JPEG", "PPM")
_MAX_DECODED = 2**26  # pixels of one picture: the largest cameras; 200 MB in colour
_MAX_UNRESIZED = 2**22
_CACHE_BYTES = 2**28


class ImageFolder(Dataset):
    """The images of a folder.

    Parameters
    ----------
    folder : Path
        Holds images, or one sub-folder of images for each class; hidden files and other suffixes are passed over.
    image_size : int or (H, W), optional
        The middle of each picture, as large as the aspect ratio allows, is resized to this (Lanczos). Not given,
        the pictures must be of one size.
    grayscale : bool, optional
        One channel or three. Not given, one where all the pictures are grey. Transparency is dropped.

    Raises
    ------
    DataError
        No images, links out of the folder, images of different sizes without `image_size`, or, here or in `batch`,
        a picture that cannot be decoded or is larger than 67 million pixels.
    """

    def __init__(
        self, folder: Path, *, image_size: int | tuple[int, int] | None = None, grayscale: bool | None = None
    ) -> None:
        self.name = folder.name or str(folder)
        self.value_range, self.byte_range = (-1.0, 1.0), (0.0, 255.0)
        self._paths, labels, self.classes = _collect(folder)
        self.labels = None if labels is None else np.array(labels, np.int64)
        self._resize = None if image_size is None else _check_size(image_size)
        size, grey = self._look(read_sizes=self._resize is None, read_modes=grayscale is None)
        channels = 1 if (grey if grayscale is None else grayscale) else 3
        self.sample_shape = (*size, channels)
        self._cache: Array | None = None
        if len(self._paths) * size[0] * size[1] * channels <= _CACHE_BYTES:
            self._cache = np.empty((len(self._paths), *self.sample_shape), np.uint8)
            self._cached = np.zeros(len(self._paths), np.bool_)

    def __len__(self) -> int:
        return len(self._paths)

    def _look(self, *, read_sizes: bool, read_modes: bool) -> tuple[tuple[int, int], bool]:
        """Read the headers, as far as anything depends on them: the size of the samples, and whether all are grey."""
        size, grey = self._resize, True
        if not (read_sizes or read_modes):
            return size or (0, 0), grey
        for path in self._paths:
            with _open(path) as image:
                found, mode = (image.height, image.width), image.mode
            grey = grey and mode in ("1", "L", "LA", "I", "I;16", "I;16B")
            if not read_sizes:
                continue
            if size is None:
                size = found
                if size[0] * size[1] > _MAX_UNRESIZED:
                    raise DataError(f"{path}: is {size[1]} x {size[0]} pixels; give image_size to resize the pictures")
            if found != size:
                raise DataError(
                    f"{path}: is {found[1]} x {found[0]} pixels, but {self._paths[0]} is {size[1]} x {size[0]}; "
                    "give image_size to resize all to one size"
                )
        assert size is not None
        return size, grey

    def batch(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        self.check_batch(indices, out, labels)
        for row, index in enumerate(indices):
            out[row] = self._picture(int(index))
        out /= 127.5
        out -= 1.0
        if labels is not None and self.labels is not None:
            np.take(self.labels, indices, out=labels, mode="clip")

    def bytes(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        self.check_batch(indices, out, labels, ("uint8",))
        for row, index in enumerate(indices):
            out[row] = self._picture(int(index))
        if labels is not None and self.labels is not None:
            np.take(self.labels, indices, out=labels, mode="clip")

    def _picture(self, index: int) -> Array:
        """Return picture `index` as uint8 (H, W, C)."""
        if self._cache is None:
            return _decode(self._paths[index], self.sample_shape, self._resize)
        if not self._cached[index]:
            self._cache[index] = _decode(self._paths[index], self.sample_shape, self._resize)
            self._cached[index] = True
        picture: Array = self._cache[index]
        return picture


def _check_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not (height >= 1 and width >= 1 and height * width <= _MAX_UNRESIZED):
        raise ConfigError(f"image_size is {image_size}, expected H and W from 1 with at most {_MAX_UNRESIZED} pixels")
    return int(height), int(width)


def _collect(folder: Path) -> tuple[list[Path], list[int] | None, tuple[str, ...] | None]:
    """Return the image files in a fixed order, with their classes."""
    root = folder.resolve()
    files, folders = _entries(folder, root)
    if files and folders:
        raise DataError(
            f"{folder}: holds images ({files[0].name}) beside folders ({folders[0].name}); expected images alone, "
            "or one sub-folder of images for each class"
        )
    if files:
        return files, None, None
    if not folders:
        raise DataError(f"{folder}: holds no images ({', '.join(SUFFIXES)})")
    paths: list[Path] = []
    labels: list[int] = []
    for label, class_folder in enumerate(folders):
        inside, deeper = _entries(class_folder, root)
        if deeper:
            raise DataError(f"{deeper[0]}: is a folder inside a class; expected one level of class folders")
        if not inside:
            raise DataError(f"{class_folder}: holds no images ({', '.join(SUFFIXES)}); remove it or fill it")
        paths += inside
        labels += [label] * len(inside)
    return paths, labels, tuple(path.name for path in folders)


def _entries(folder: Path, root: Path) -> tuple[list[Path], list[Path]]:
    """Return the image files and the sub-folders of `folder`, sorted, none of them outside `root`."""
    files, folders = [], []
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise DataError(f"{path}: is a link out of the folder {root}; copy the file, or link the whole folder")
            kind = path.stat().st_mode
            if stat.S_ISDIR(kind):
                folders.append(path)
            elif path.suffix.lower() in SUFFIXES:
                file_size(path)
                files.append(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise DataError(f"{folder}: cannot be read ({error})") from error
    return files, folders


def _open(path: Path) -> Image:
    """Open a picture without decoding it, and refuse one of unbelievable size."""
    from PIL import Image

    file_size(path)
    try:
        image = Image.open(path, formats=_FORMATS)
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise _broken(path, error) from error
    if image.width * image.height > _MAX_DECODED:
        size = f"{image.width} x {image.height}"
        image.close()
        raise DataError(f"{path}: claims {size} pixels, more than {_MAX_DECODED}: a decompression bomb?")
    return image


def _decode(path: Path, shape: tuple[int, ...], resize: tuple[int, int] | None) -> Array:
    """Return a picture as uint8 of this shape (H, W, 1 or 3)."""
    from PIL import Image, ImageOps

    with _open(path) as image:
        try:
            plain = _eight_bits(image, "L" if shape[2] == 1 else "RGB")
            if resize is not None and (plain.height, plain.width) != resize:
                plain = ImageOps.fit(plain, resize[::-1], Image.Resampling.LANCZOS)
            pixels = np.asarray(plain, np.uint8).reshape(plain.height, plain.width, -1)
        except Exception as error:  # as above
            raise _broken(path, error) from error
    if pixels.shape != shape:
        raise DataError(f"{path}: decodes to shape {pixels.shape}, expected {shape}: did the file change?")
    return pixels


def _eight_bits(image: Image, mode: str) -> Image:
    """Convert to "L" or "RGB"."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, in 16 or 32; Pillow's own conversion clips at 255
        image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    elif "transparency" in image.info:  # converting a palette with transparency directly warns
        image = image.convert("RGBA")
    return image.convert(mode)


def _broken(path: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{path}: cannot be read as a PNG, JPEG, PGM or PPM picture ({reason})")
