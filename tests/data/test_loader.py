import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.backend import get_backend
from npgan.data import ArrayDataset, Augment, Loader
from npgan.data.mixture import ring
from npgan.errors import ConfigError, DataError, DTypeError

RNG = np.random.default_rng(0)
IMAGES = ArrayDataset(RNG.integers(0, 256, (50, 6, 5, 2), dtype=np.uint8), np.arange(50) % 3)
RANDOM = get_backend("reference").random(5)


class Broken(ArrayDataset):
    def batch(self, indices, out, labels=None):
        if 7 in indices:
            raise DataError("sample 7 is broken")
        super().batch(indices, out, labels)


def copies(loader, cursors):
    return [(batch.x.copy(), batch.labels.copy()) for batch in map(loader.get, cursors)]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
)
def test_prefetch_changes_no_bit(cursors, prefetch, shuffle, balanced, augmented, dtype):
    options = {
        "shuffle": shuffle,
        "balanced": balanced,
        "dtype": dtype,
        "augment": Augment(flip=True, rotate=20, shift=0.1, scale=0.1) if augmented else None,
    }
    plain = copies(Loader(IMAGES, 8, RANDOM, prefetch=0, **options), cursors)
    with Loader(IMAGES, 8, RANDOM, prefetch=prefetch, **options) as loader:
        ahead = copies(loader, cursors)
    for (x, labels), (other, other_labels) in zip(plain, ahead, strict=True):
        assert x.tobytes() == other.tobytes()
        assert x.dtype == dtype
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_epochs_cover_the_data(prefetch):
    data = np.arange(20.0)[:, None]
    with Loader(ArrayDataset(data, np.arange(20)), 6, RANDOM, prefetch=prefetch) as loader:
        assert loader.batches_per_epoch == 3
        orders = []
        for epoch in range(3):
            seen = []
            for i in range(3):
                batch = loader.get(3 * epoch + i)
                np.testing.assert_array_equal(batch.x[:, 0], batch.labels)
                seen += batch.labels.tolist()
            assert len(set(seen)) == 18
            orders.append(seen)
        assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_buffers_stay_until_the_next_but_one(prefetch):
    with Loader(IMAGES, 8, RANDOM, prefetch=prefetch) as loader:
        before = None
        for cursor in range(12):
            batch = loader.get(cursor)
            time.sleep(0.002 * bool(prefetch))
            if before is not None:
                np.testing.assert_array_equal(before[0].x, before[1])
                assert not np.shares_memory(before[0].x, batch.x)
            before = batch, batch.x.copy()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_no_allocation_in_steady_state(prefetch):
    dataset = ArrayDataset(RNG.integers(0, 256, (200, 64, 64, 3), dtype=np.uint8))
    with Loader(dataset, 64, RANDOM, prefetch=prefetch) as loader:  # a batch is 3 MB
        for cursor in range(8):
            loader.get(cursor)
        tracemalloc.start()
        for cursor in range(8, 14):
            loader.get(cursor)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50_000


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_errors_reach_the_caller(prefetch):
    dataset = Broken(np.zeros((20, 1)), np.zeros(20, int))
    with Loader(dataset, 4, RANDOM, shuffle=False, prefetch=prefetch) as loader:
        loader.get(0)
        for _ in range(2):
            with pytest.raises(DataError, match="sample 7 is broken"):
                loader.get(1)
        assert loader.get(2).x.shape == (4, 1)
        with pytest.raises(DataError, match="sample 7 is broken"):
            loader.get(6)


def test_a_dropped_loader_ends_its_thread():
    before = threading.active_count()
    loader = Loader(IMAGES, 8, RANDOM)
    loader.get(0)
    assert threading.active_count() == before + 1
    del loader
    gc.collect()
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork():
    cursors = [4, 5, 6, 0]
    with Loader(IMAGES, 8, RANDOM) as loader:
        expected = copies(loader, cursors)
        for _ in range(5):
            loader.get(3)  # the thread is at work while the process forks
            child = os.fork()
            if child == 0:
                try:
                    same = all(
                        a.tobytes() == b.tobytes()
                        for (a, _), (b, _) in zip(copies(loader, cursors), expected, strict=True)
                    )
                    loader.close()
                    os._exit(0 if same else 1)
                finally:
                    os._exit(2)
            deadline = time.monotonic() + 30
            while (found := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.005)
            if found == (0, 0):
                os.kill(child, 9)
                os.waitpid(child, 0)
            assert found == (child, 0)
            np.testing.assert_array_equal(loader.get(4).x, expected[0][0])


def test_a_mixture_never_repeats():
    with Loader(ring(), 64, RANDOM) as loader:
        a, b = loader.get(0), loader.get(loader.batches_per_epoch)
        assert not np.isin(a.x, b.x).any()


def test_refused():
    with pytest.raises(ConfigError, match="has 50 samples, too few for a batch of 64"):
        Loader(IMAGES, 64, RANDOM)
    with pytest.raises(ConfigError, match="ring-8 has no images"):
        Loader(ring(), 8, RANDOM, augment=Augment(flip=True))
    for dtype in ("float16", "int64", None):
        with pytest.raises(DTypeError, match="expected 'float32' or 'float64'"):
            Loader(IMAGES, 8, RANDOM, dtype=dtype)
    for prefetch in (-1, 1.5, True):
        with pytest.raises(ConfigError, match="prefetch is"):
            Loader(IMAGES, 8, RANDOM, prefetch=prefetch)
    with pytest.raises(ConfigError, match="cursor is -1"):
        Loader(IMAGES, 8, RANDOM).get(-1)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, numpy as np; from npgan.data import *; from npgan.backend import get_backend\n"
        "loader = Loader(open_dataset(np.zeros((9, 4, 4, 1), np.uint8)), 4, get_backend('reference').random(0))\n"
        "loader.get(0); loader.close()\n"
        "heavy = {'numba', 'scipy', 'sklearn', 'PIL', 'pooch', 'requests', 'cupy', 'matplotlib', 'typer', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
