"""Tables of numbers: CSV files, a row a sample, with or without a header line."""

from __future__ import annotations

import array
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from npgan.backend import Array
from npgan.data.dataset import Dataset
from npgan.data.files import file_size
from npgan.errors import DataError, ShapeError

LABEL_COLUMNS = ("label", "class")

_MAX_FILE = 2**27  # two bytes of text can be a number of eight
_MAX_LINE = 2**20
_MAX_COLUMNS = 2**16


class Table(Dataset):
    """Rows of numbers, each column shifted and scaled to mean 0 and standard deviation 1.

    Attributes
    ----------
    columns : tuple of str
        Names, from the header, or "column 1", ...
    mean, std : float64 array (F,)
        Of the columns in the file's units; ``std`` is 1 for constant columns.
    constant_columns : tuple of str
        Columns that hold one value throughout; they become 0, and there is nothing to learn in them.

    Raises
    ------
    DataError
        Values that are not finite or so large that their variance overflows.
    """

    def __init__(
        self,
        rows: Array,
        columns: tuple[str, ...],
        *,
        labels: Array | None = None,
        classes: tuple[str, ...] | None = None,
        name: str = "table",
    ) -> None:
        self.name = name
        self.columns = columns
        self.sample_shape = rows.shape[1:]
        self.labels, self.classes = labels, classes
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean = rows.mean(axis=0)
            self.std = rows.std(axis=0)
        constant = rows.min(axis=0) == rows.max(axis=0)  # the std of a constant is not quite 0 after rounding
        self.mean[constant] = rows[0, constant]
        self.std[constant] = 1.0
        tiny = np.finfo(np.float64).tiny
        bad = ~(np.isfinite(self.mean) & np.isfinite(self.std) & (self.std > tiny))
        if bad.any():
            column = columns[int(np.argmax(bad))]
            raise DataError(f"{name}: the values of {column!r} are too large or too small for a variance; rescale them")
        self.constant_columns = tuple(column for column, same in zip(columns, constant, strict=True) if same)
        if self.constant_columns:
            self.notes = (f"{name}: constant columns, with nothing to learn: {', '.join(self.constant_columns)}",)
        self._rows = rows - self.mean
        self._rows /= self.std

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        self.check_batch(indices, out, labels)
        for row, index in enumerate(indices):
            out[row] = self._rows[index]
        if labels is not None and self.labels is not None:
            np.take(self.labels, indices, out=labels, mode="clip")

    def to_units(self, x: Array) -> Array:
        """Return standardised rows `x` (N, F) in the units of the file: x std + mean, in float64."""
        if x.ndim != 2 or x.shape[1:] != self.sample_shape:
            raise ShapeError(f"{self.name}: x is {x.shape}, expected (N, {self.sample_shape[0]})")
        units: Array = np.asarray(x, np.float64) * self.std + self.mean
        return units


def open_csv(path: Path) -> Table:
    """Open a CSV file (comma, semicolon or tab; UTF-8).

    A first line that is not all numbers is the header. A column named ``label`` or ``class`` holds the classes, as
    any text; the others must be numbers.

    Raises
    ------
    DataError
        Missing or infinite values, text, rows of different lengths, lines of more than 1 MiB, or a file of more
        than 128 MiB (save it as .npy, which is memory-mapped).
    """
    size = file_size(path)
    if size > _MAX_FILE:
        raise DataError(f"{path}: {size} bytes, more than the {_MAX_FILE} that are read as text; save it as .npy")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason})") from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error


def _lines(path: Path, file: IO[str], first: str) -> Iterator[str]:
    line = first
    while line:
        if len(line) >= _MAX_LINE:
            raise DataError(f"{path}: a line is longer than {_MAX_LINE} characters: not a table")
        yield line
        line = file.readline(_MAX_LINE)


def _read(path: Path, file: IO[str]) -> Table:
    first = file.readline(_MAX_LINE)
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(_lines(path, file, first), delimiter=delimiter, strict=True)
    start = next(reader, None)
    if not start:
        raise DataError(f"{path}: is empty, or its first line is")
    if len(start) > _MAX_COLUMNS:
        raise DataError(f"{path}: {len(start)} columns, expected at most {_MAX_COLUMNS}")
    header = not all(_is_number(field) for field in start)
    columns = [field.strip() or f"column {i}" for i, field in enumerate(start, 1)]
    if not header:
        columns = [f"column {i}" for i in range(1, len(start) + 1)]
    label_at = next((i for i, column in enumerate(columns) if header and column.lower() in LABEL_COLUMNS), None)

    values = array.array("d")
    names: dict[str, int] = {}
    labels = array.array("q")
    rows = [] if header else [start]
    for row in _chain(rows, reader):
        if not row:
            continue  # a blank line
        if len(row) != len(columns):
            raise DataError(f"{path}: line {reader.line_num} has {len(row)} fields, expected {len(columns)}")
        if label_at is not None:
            labels.append(names.setdefault(row.pop(label_at).strip(), len(names)))
        try:
            values.extend(map(float, row))
        except ValueError:
            raise _bad_field(path, reader.line_num, row, columns, label_at) from None
    if label_at is not None:
        del columns[label_at]
    if not columns or not values:
        raise DataError(f"{path}: holds no {'columns' if not columns else 'rows'} of numbers")
    table = np.frombuffer(values, np.float64).reshape(-1, len(columns))
    if not np.isfinite(table).all():
        row_at, column_at = np.argwhere(~np.isfinite(table))[0]
        raise DataError(
            f"{path}: row {row_at + 1} of the data has {table[row_at, column_at]} in {columns[column_at]!r}, "
            "expected a finite number"
        )
    if label_at is None:
        return Table(table, tuple(columns), name=path.name)
    order = sorted(names, key=_class_order)  # whatever order they come in
    position = {name: i for i, name in enumerate(order)}
    rank = np.array([position[name] for name in names], np.int64)
    classes = rank[np.frombuffer(labels, np.int64)]
    return Table(table, tuple(columns), labels=classes, classes=tuple(order), name=path.name)


def _chain(rows: list[list[str]], reader: Iterator[list[str]]) -> Iterator[list[str]]:
    yield from rows
    yield from reader


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _class_order(name: str) -> tuple[bool, float, str]:
    """Sort numbers as numbers (2 before 10), then words."""
    number = _is_number(name)
    return not number, float(name) if number else 0.0, name


def _bad_field(path: Path, line: int, row: list[str], columns: list[str], label_at: int | None) -> DataError:
    numeric = [column for i, column in enumerate(columns) if i != label_at]
    for field, column in zip(row, numeric, strict=True):
        if not _is_number(field):
            what = "nothing" if not field.strip() else repr(field[:40])
            return DataError(
                f"{path}: line {line} has {what} in {column!r}, expected a number "
                "(missing values are not filled in; a column of classes must be named 'label' or 'class')"
            )
    raise AssertionError("every field is a number")
