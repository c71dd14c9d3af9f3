import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgan.data.npz import open_npy, open_npz, read_npy, read_npz
from npgan.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
POINTS = RNG.normal(size=(6, 2))
LABELS = np.array([2, 0, 1, 1, 2])


def npy(array, **options):
    target = io.BytesIO()
    np.lib.format.write_array(target, array, **options)
    return target.getvalue()


def npz(compress=True, **arrays):
    target = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(target, **arrays)
    return target.getvalue()


def zipped(member):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x.npy", member)
    return target.getvalue()


ARRAYS = st.sampled_from(["u1", "<i2", ">i4", "<f4", ">f8", "?"]).flatmap(
    lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
)


@given(ARRAYS, st.booleans(), st.sampled_from([(1, 0), (2, 0), (3, 0)]))
def test_round_trip_npy(tmp_path_factory, array, fortran, version):
    path = tmp_path_factory.getbasetemp() / "round.npy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a version that is newer than it need be
        path.write_bytes(npy(np.asarray(array, order="F" if fortran else "C"), version=version))
    found = read_npy(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert not found.flags.writeable


@given(ARRAYS, st.booleans(), st.booleans())
def test_round_trip_npz(tmp_path_factory, array, fortran, compress):
    path = tmp_path_factory.getbasetemp() / "round.npz"
    path.write_bytes(npz(compress, x=np.asarray(array, order="F" if fortran else "C"), other=np.zeros(3)))
    np.testing.assert_array_equal(read_npz(path, ("x",))["x"], array)


def test_npy_is_mapped(tmp_path, memory_below):
    path = tmp_path / "big.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (100_000, 32, 32)).flush()  # 400 MB, sparse
    with memory_below(2**23):  # part of it is looked at for NaN
        dataset = open_npy(path)
        out = np.empty((1, 32, 32, 1), np.float32)
        dataset.batch(np.array([99_999]), out)
    assert (out == -1).all()


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("data", "y")])
def test_keys(tmp_path, read, keys):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**{keys[0]: IMAGES, keys[1]: LABELS}))
    out, labels = read(open_npz(path))
    np.testing.assert_array_equal(out[..., 0], IMAGES / 127.5 - 1)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": IMAGES}, "expected one of x, images, data"),
        ({"x": IMAGES, "data": IMAGES}, "expected one of"),
        ({"y": LABELS}, "expected one of"),
        ({"x": IMAGES, "y": LABELS[:3]}, "one for each sample"),
        ({"x": IMAGES, "y": LABELS - 1}, "labels go from -1"),
        ({"x": IMAGES, "y": LABELS * 1.0}, "expected integers"),
        ({"x": IMAGES, "y": LABELS + 2**62}, "labels go up to"),
        ({"x": np.array([{}, []], object)}, "nothing is unpickled"),
        ({"x": np.zeros(3, [("a", "f4")])}, "objects or records"),
        ({"x": np.array(["a", "b"])}, "expected numbers"),
        ({"x": np.zeros((3, 2), complex)}, "expected numbers"),
        ({"x": np.zeros((0, 2))}, "empty"),
        ({"x": np.array([[1.0, np.inf], [0, 0]])}, "sample 0 holds NaN, infinity"),
        ({"x": np.zeros((3, 3, 32, 32))}, "channels first"),
        ({"x": np.zeros(3)}, r"expected \(N, F\)"),
        ({"x": 16 * RNG.random((3, 8, 8))}, r"give values=\(black, white\)"),
    ],
)
def test_refused(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    path.write_bytes(npz(**arrays))
    with pytest.raises(DataError, match=message):
        open_npz(path)


def test_pickles_are_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    from pathlib import Path

    for name, opener in (("a.npy", open_npy), ("a.npz", open_npz)):
        content = np.array([Bomb()], object)
        (tmp_path / name).write_bytes(npy(content) if name == "a.npy" else npz(x=content))
        with pytest.raises(DataError, match="nothing is unpickled"):
            opener(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def header(descr="'<f4'", shape="(2, 2)", order="False", extra=b""):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode() + extra
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        header() + bytes(15),
        header() + bytes(17),
        header(shape="(1000000000000, 1000000000000)") + bytes(16),
        header(shape="(" + "9" * 5000 + ",)") + bytes(16),
        header(shape="(" + "[" * 3000 + ")") + bytes(16),
        header(shape="(-1, 2)") + bytes(16),
        header(shape="()") + bytes(4),
        header(descr="'<f16'") + bytes(64),
        header(descr="'<f99999'") + bytes(16),
        header(descr="__import__('os')") + bytes(16),
        header(order="None") + bytes(16),
        header()[:20],
        # A header said to be 20,000 bytes long, of which 10,000 are there, and then the data.
        b"\x93NUMPY\1\0" + struct.pack("<H", 20_000) + header()[10:-1].ljust(10_000) + bytes(16),
        b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{" * 100_000,
        b"\x93NUMPY\x09\0",
        b"",
    ],
)
def test_hostile_headers(tmp_path, content, memory_below):
    (tmp_path / "bad.npy").write_bytes(content)
    with memory_below(2**20), pytest.raises(DataError, match=r"bad\.npy"):
        open_npy(tmp_path / "bad.npy")
    (tmp_path / "bad.npz").write_bytes(zipped(content))
    with memory_below(2**20), pytest.raises(DataError, match=r"bad\.npz"):
        open_npz(tmp_path / "bad.npz")


def test_zip_bomb(tmp_path, memory_below):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        member.write(header("'|u1'", "(300, 1000000)"))
        for _ in range(300):
            member.write(bytes(1_000_000))
    with memory_below(2**21), pytest.raises(DataError, match=r"x\.npy claims 300000000 bytes out of"):
        open_npz(path)


def test_zip_tables(tmp_path, memory_below):
    path = tmp_path / "bad.npz"
    good = npz(x=IMAGES)
    end = good.rindex(b"PK\x05\x06")
    for content, message in [
        (good[:end] + good[end : end + 12] + struct.pack("<I", 2**31) + good[end + 16 :], "table of contents claims"),
        (good[:end] + b"PK\x06\x07" + bytes(16) + good[end:], "over 4 GB"),
        (good[:end], "no table of contents"),
    ]:
        path.write_bytes(content)
        with memory_below(2**20), pytest.raises(DataError, match=message):
            open_npz(path)


def test_values(tmp_path, read):
    path = tmp_path / "a.npy"
    array = 16 * RNG.random((3, 8, 8))
    path.write_bytes(npy(array))
    out, _ = read(open_npy(path, values=(0, 16)))
    np.testing.assert_allclose(out[..., 0], array / 8 - 1, rtol=0, atol=1e-15)
    with pytest.raises(DataError, match="outside the given range"):
        open_npy(path, values=(0, 8))


def test_fuzz_npy(fuzz):
    fuzz(open_npy, [npy(IMAGES), npy(POINTS), npy(IMAGES / np.float32(255))], 5000, name="fuzz.npy")


def test_fuzz_npz(fuzz):
    fuzz(open_npz, [npz(x=IMAGES, y=LABELS), npz(False, data=POINTS)], 4000, name="fuzz.npz")


def test_fuzz_inside_npz(fuzz):
    fuzz(open_npz, [npy(POINTS)], 2000, name="fuzz.npz", wrap=zipped)
