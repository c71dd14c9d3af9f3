import gzip
import os

import numpy as np
import pytest

from npgan.data.files import file_size, fill_from, map_array, read_start, read_text, unpacked_limit
from npgan.errors import DataError


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, message in [
        (tmp_path, "is a directory"),
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path / "missing", "cannot be read"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / ("x" * 1000), "cannot be read"),
        (tmp_path / "a\0b", "cannot be read"),
    ]:
        with pytest.raises(DataError, match=message):
            file_size(path)
        with pytest.raises(DataError, match=message):
            read_start(path, 4)


def test_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffgrün".encode())
    assert read_text(path, 100) == "grün"
    with pytest.raises(DataError, match="8 bytes, expected at most 7"):
        read_text(path, 7)
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        read_text(path, 7)


@pytest.mark.parametrize(("packed", "limit"), [(1, 2**26), (2**20, 100 * 2**20), (2**30, 2**30)])
def test_unpacked_limit(packed, limit):
    assert unpacked_limit(packed) == limit


@pytest.mark.parametrize(("content", "message"), [(bytes(11), "truncated"), (bytes(13), "oversized")])
def test_fill_from(tmp_path, content, message):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(content))
    with gzip.open(path) as stream, pytest.raises(DataError, match=message):
        fill_from(path, stream, np.empty((3, 4), np.uint8), "it")
    path.write_bytes(gzip.compress(bytes(range(12)))[:-3])
    with gzip.open(path) as stream, pytest.raises(DataError, match="damaged"):
        fill_from(path, stream, np.empty((3, 4), np.uint8), "it")
    path.write_bytes(gzip.compress(bytes(range(12))))
    out = np.empty((3, 2), np.uint16)
    with gzip.open(path) as stream:
        fill_from(path, stream, out, "it")
    assert out.tobytes() == bytes(range(12))


def test_map_array(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(14)))
    found = map_array(path, "u1", (3, 4), 2)
    assert found[2, 3] == 13
    assert not found.flags.writeable
    assert map_array(path, "u1", (3, 4), 2, "F")[1, 0] == 3
    for shape, message in [((3, 5), "truncated"), ((3, 3), "oversized"), ((2**40, 2**40), "truncated")]:
        with pytest.raises(DataError, match=message):
            map_array(path, "u1", shape, 2)
    with pytest.raises(DataError, match="empty"):
        map_array(path, "u1", (0, 3), 14)
