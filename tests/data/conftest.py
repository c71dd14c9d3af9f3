import os
import random as stdlib_random
import struct
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.errors import DataError

EXTREMES = [struct.pack(order + "I", n) for order in "<>" for n in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 100_000)]


@pytest.fixture
def random():
    return get_backend("reference").random(11)


@pytest.fixture
def data_root():
    root = os.environ.get("NPGAN_TEST_DATA")
    if not root:
        pytest.skip("NPGAN_TEST_DATA names no folder with real data sets")
    return Path(root)


def read_all(dataset, dtype=np.float64, limit=32):
    """Return the first samples and their labels (None where there are none)."""
    n = min(len(dataset), limit)
    out = np.full((n, *dataset.sample_shape), np.nan, dtype)
    labels = None if dataset.classes is None else np.full(n, -1, np.int64)
    dataset.batch(np.arange(n), out, labels)
    return out, labels


@pytest.fixture
def read():
    return read_all


def mutate(rng, data):
    """Return `data` with one to three kinds of damage, half of it near the start or the end."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        n = len(data)
        at = rng.randrange(n + 1)
        if rng.random() < 0.5:
            at = rng.choice((min(n, rng.randrange(64)), max(0, n - rng.randrange(64))))
        length = rng.choice((1, 2, 4, rng.randrange(1, 64)))
        kind = rng.randrange(9)
        if kind == 0 and at < n:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < n:
            data[at] = rng.choice((0, 1, 9, 10, 32, 48, 127, 128, 255))
        elif kind == 2:
            data[at : at + 4] = rng.choice(EXTREMES)
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data += rng.randbytes(length)
        elif kind == 5:
            del data[at : at + length]
        elif kind == 6:
            data[at:at] = rng.randbytes(length)
        elif kind == 7:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = rng.randbytes(length)
    return bytes(data)


@pytest.fixture
def fuzz(tmp_path):
    """Damage files and open them: what is not refused with DataError must be a sound data set.

    `wrap` packs what was damaged, so that the damage gets through a checksum.
    """

    def run(opener, examples, count, *, name="fuzz.bin", folder=None, wrap=bytes):
        rng = stdlib_random.Random(2014)
        path = (folder or tmp_path) / name
        outcomes = {"opened": 0, "refused": 0}
        for trial in range(count):
            content = wrap(mutate(rng, examples[trial % len(examples)]))
            path.unlink(missing_ok=True)  # some file systems wait for the disk when a file is overwritten
            path.write_bytes(content)
            refusal = None
            try:
                dataset = opener(path)
                out, labels = read_all(dataset, np.float32)
            except DataError as error:
                refusal = str(error)
            if refusal is not None:
                assert path.name in refusal, f"trial {trial}: the message does not name the file: {refusal}"
                outcomes["refused"] += 1
                continue
            assert np.isfinite(out).all(), f"trial {trial}"
            if dataset.value_range:
                assert np.abs(out).max() <= 1.0 + 1e-5, f"trial {trial}"
            if labels is not None:
                assert labels.min() >= 0, f"trial {trial}"
                assert labels.max() < len(dataset.classes), f"trial {trial}"
            outcomes["opened"] += 1
        # Damage that is always seen, or never, would say that the mutations miss what the reader looks at.
        assert min(outcomes.values()) > count // 200, outcomes

    return run


@pytest.fixture
def memory_below():
    """Bound the memory that NumPy and Python take inside of the block."""

    @contextmanager
    def bound(limit):
        tracemalloc.start()
        try:
            yield
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < limit, f"{peak / 2**20:.0f} MiB"

    return bound
