import gzip
import io
import tarfile
from functools import partial

import numpy as np
import pytest

from npgan.data import cifar
from npgan.data.cifar import open_archive, open_cifar
from npgan.errors import DataError


def records(n, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
    found[:, 0] = rng.integers(0, 10, n)
    return found


def test_planes_become_channels(tmp_path, read):
    path = tmp_path / "a.bin"
    path.write_bytes(records(3).tobytes())
    out, labels = read(open_cifar(path))
    raw = path.read_bytes()
    assert labels.tolist() == [raw[0], raw[3073], raw[2 * 3073]]
    for row, column, channel in [(0, 0, 0), (5, 31, 1), (31, 7, 2)]:
        byte = raw[3073 + 1 + channel * 1024 + row * 32 + column]
        assert out[1, row, column, channel] == byte / 127.5 - 1


@pytest.mark.parametrize(("size", "label"), [(0, 0), (3072, 0), (3074, 0), (2 * 3073, 10)])
def test_refused(tmp_path, size, label):
    path = tmp_path / "bad.bin"
    path.write_bytes(bytes([label]) + bytes(size - 1) if size else b"")
    with pytest.raises(DataError, match=r"whole number|record 0 has class 10"):
        open_cifar(path)


def test_fuzz(fuzz):
    fuzz(open_cifar, [records(2).tobytes()], 3000)


def archive(batches, folder="cifar-10-batches-bin", kind=tarfile.REGTYPE):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.type = kind
            member.linkname = "/etc/passwd"
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def small(monkeypatch):
    """The archive's layout with batches of 2 records, so that a test need not pack 184 MB."""
    monkeypatch.setattr(cifar, "_BATCH_BYTES", 2 * 3073)
    monkeypatch.setattr(cifar, "_TAR_LIMIT", 2**22)


@pytest.fixture
def batches():
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    return {name: records(2, i).tobytes() for i, name in enumerate(names)}


def test_archive(tmp_path, read, small, batches):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(archive({"readme.html": b"<html>", **batches}))
    train, test = (open_archive(path, split, "cifar10") for split in ("train", "test"))
    assert (len(train), len(test)) == (10, 2)
    np.testing.assert_array_equal(train.labels[2:4], records(2, 1)[:, 0])
    out, _ = read(test)
    np.testing.assert_array_equal(out, records(2, 5)[:, 1:].reshape(2, 3, 32, 32).transpose(0, 2, 3, 1) / 127.5 - 1)
    assert list(tmp_path.iterdir()) == [path]  # nothing is extracted


def test_hostile_archives(tmp_path, small, batches, memory_below):
    path = tmp_path / "cifar.tar.gz"
    for content, message in [
        (archive(batches, folder="../cifar-10-batches-bin"), "has no cifar-10-batches-bin/test_batch"),
        (archive(batches, kind=tarfile.SYMTYPE), "not a file of"),
        (archive({name: content[:-1] for name, content in batches.items()}), "not a file of"),
        (archive(batches)[:-3000], "cannot be read as the CIFAR-10 archive"),
        (b"nonsense", "cannot be read as the CIFAR-10 archive"),
        (gzip.compress(b"\1" * 2**23, 1), "cannot be read as the CIFAR-10 archive"),
    ]:
        path.write_bytes(content)
        with memory_below(2**24), pytest.raises(DataError, match=message):
            open_archive(path, "test", "cifar10")
    # A name of 64 MB: tarfile would read it into memory.
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2**26
    path.write_bytes(gzip.compress(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(2**26), 1))
    with memory_below(2**24), pytest.raises(DataError, match="unpacks to more than"):
        open_archive(path, "test", "cifar10")


def test_fuzz_archive(fuzz, small, batches):
    fuzz(lambda path: open_archive(path, "test", path.name), [archive(batches)], 600, name="cifar.tar.gz")


def test_fuzz_inside_archive(fuzz, small, batches):
    plain = gzip.decompress(archive({"test_batch.bin": batches["test_batch.bin"]}))
    fuzz(
        lambda path: open_archive(path, "test", path.name),
        [plain[: 512 + 2 * 3073 + 1500]],
        2000,
        name="cifar.tar.gz",
        wrap=partial(gzip.compress, compresslevel=1),
    )
