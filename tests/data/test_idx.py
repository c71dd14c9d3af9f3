import gzip
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgan.data.idx import open_idx, open_idx_pair, read_idx
from npgan.errors import DataError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def encode(array):
    """Write the format as its description says, byte by byte."""
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda t: hnp.arrays(
            t,
            hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
            elements={"allow_nan": False} if t[0] == "f" else None,
        )
    ),
    st.booleans(),
)
def test_round_trip(tmp_path_factory, array, packed):
    path = tmp_path_factory.getbasetemp() / "round.idx"
    path.write_bytes(gzip.compress(encode(array)) if packed else encode(array))
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype.newbyteorder("=") == array.dtype


def test_plain_file_is_mapped_not_read(tmp_path, memory_below):
    path = tmp_path / "big-idx"
    with path.open("wb") as file:  # a sparse file of 6 GB
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", 6_000_000, 32, 32))
        file.truncate(16 + 6_000_000 * 1024)
    with memory_below(2**21):
        dataset = open_idx(path)
        out = np.empty((2, 32, 32, 1), np.float32)
        dataset.batch(np.array([0, 5_999_999]), out)
    assert (out == -1).all()
    assert len(dataset) == 6_000_000


def test_labels_beside_the_images(tmp_path, read):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(encode(IMAGES)))
    labels = np.array([2, 0, 1, 1, 2], np.uint8)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(encode(labels))
    dataset = open_idx(tmp_path / "train-images-idx3-ubyte.gz")
    out, found = read(dataset)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(out[..., 0], IMAGES / 127.5 - 1)
    assert dataset.classes == ("0", "1", "2")


def test_labels_that_do_not_fit(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(encode(IMAGES))
    labels.write_bytes(encode(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=r"shape \(4,\) for 5 samples"):
        open_idx_pair(images, labels, name="set")
    labels.write_bytes(encode(np.full(5, 10, np.uint8)))
    with pytest.raises(DataError, match="labels go from 10 to 10, expected 0 to 9"):
        open_idx_pair(images, labels, name="set", classes=tuple("0123456789"))
    with pytest.raises(DataError, match="one number a sample"):
        open_idx(labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode(IMAGES)[:-1], "truncated"),
        (encode(IMAGES) + b"x", "oversized"),
        (encode(IMAGES)[:9], "truncated"),
        (b"", "IDX header"),
        (b"\0\0\x08\x00", "IDX header"),
        (b"\0\0\x08\x09" + bytes(36), "IDX header"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 28, 28), "empty"),
        (bytes([0, 0, 8, 8]) + b"\xff" * 32, "truncated"),
        (encode(np.full((2, 3, 3), np.nan)), "sample 0 holds NaN"),
        (encode(np.full((2, 3), 1e300)), "too large for float32"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_refused(tmp_path, content, message, packed):
    path = tmp_path / "bad"
    path.write_bytes(gzip.compress(content) if packed else content)
    if packed and content[3:4] == b"\x08":
        message = "compressed ones"
    with pytest.raises(DataError, match=message):
        open_idx(path)


def test_bombs(tmp_path, memory_below):
    path = tmp_path / "bomb.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1_000_000, 28, 28)  # honest about its 784 MB
    packer = zlib.compressobj(9, wbits=31)
    path.write_bytes(
        packer.compress(header) + b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    )
    with memory_below(2**22), pytest.raises(DataError, match="784000000 bytes out of"):
        read_idx(path)
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 28, 28)  # says little, goes on
    path.write_bytes(gzip.compress(header + bytes(2**26)))
    with memory_below(2**22), pytest.raises(DataError, match="oversized"):
        read_idx(path)


def test_fuzz_plain(fuzz):
    fuzz(open_idx, [encode(IMAGES), encode(IMAGES.astype("f4") / 255)], 4000)


def test_fuzz_gzip(fuzz):
    fuzz(open_idx, [gzip.compress(encode(IMAGES), mtime=0)], 3000, name="fuzz.gz")


def test_fuzz_inside_gzip(fuzz):
    fuzz(open_idx, [encode(IMAGES)], 3000, name="fuzz.gz", wrap=partial(gzip.compress, compresslevel=1))
