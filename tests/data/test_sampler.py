import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import get_backend
from npgan.data.dataset import ArrayDataset
from npgan.data.mixture import ring
from npgan.data.sampler import Sampler
from npgan.errors import ConfigError

RANDOM = get_backend("reference").random(5)


def plain(n, labels=None, classes=None):
    return ArrayDataset(np.zeros((n, 1)), labels, classes=classes)


def make(dataset, batch, random=RANDOM, shuffle=True, balanced=False):
    return Sampler(dataset, batch, random, shuffle=shuffle, balanced=balanced)


@given(st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_an_epoch_has_each_sample_at_most_once(n, batch, shuffle):
    if batch > n:
        n, batch = batch, n
    sampler = make(plain(n), batch, shuffle=shuffle)
    assert sampler.batches_per_epoch == n // batch
    for epoch in range(3):
        first = epoch * sampler.batches_per_epoch
        seen = np.concatenate([sampler.indices(first + i) for i in range(sampler.batches_per_epoch)])
        assert len(set(seen)) == len(seen) == batch * (n // batch)
        if not shuffle:
            np.testing.assert_array_equal(seen, np.arange(len(seen)))


def test_epochs_and_seeds_differ():
    sampler = make(plain(1000), 1000)
    other = make(plain(1000), 1000, get_backend("reference").random(6))
    orders = [sampler.indices(0), sampler.indices(1), other.indices(0), np.arange(1000)]
    for i, a in enumerate(orders):
        for b in orders[:i]:
            assert (a == b).mean() < 0.02


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.booleans())
def test_batches_do_not_depend_on_what_was_read_before(cursors, balanced):
    dataset = plain(30, np.arange(30) % 7 % 3)
    sampler = make(dataset, 8, balanced=balanced)
    for cursor in cursors:
        np.testing.assert_array_equal(sampler.indices(cursor), make(dataset, 8, balanced=balanced).indices(cursor))


@pytest.mark.parametrize("shuffle", [False, True])
def test_balanced(shuffle):
    labels = np.repeat([0, 2, 3], [70, 5, 25])  # class 1 has no samples
    sampler = make(plain(100, labels, tuple("abcd")), 12, shuffle=shuffle, balanced=True)
    drawn = []
    for cursor in range(50):
        indices = sampler.indices(cursor)
        assert np.bincount(labels[indices], minlength=4).tolist() == [4, 0, 4, 4]
        drawn.append(indices)
    times = np.bincount(np.concatenate(drawn), minlength=100)
    for k in (0, 2, 3):  # within a class, every sample as often as any other
        assert np.ptp(times[labels == k]) <= 1


def test_classes_are_shuffled_apart():
    labels = np.arange(200) % 2
    drawn = make(plain(200, labels), 200, balanced=True).indices(0)
    assert (drawn[0::2] // 2 == drawn[1::2] // 2).mean() < 0.1


def test_balanced_over_time_where_the_batch_is_no_multiple():
    labels = np.arange(100) % 3
    sampler = make(plain(100, labels), 4, balanced=True)
    drawn = np.concatenate([sampler.indices(cursor) for cursor in range(30)])
    assert np.bincount(labels[drawn]).tolist() == [40, 40, 40]


def test_without_end():
    sampler = make(ring(), 64)
    np.testing.assert_array_equal(sampler.indices(10**6), 64 * 10**6 + np.arange(64))
    assert make(ring(), 10**6).batches_per_epoch == 1


@pytest.mark.parametrize("batch", [0, -1, 2.0, True, "8"])
def test_batch_that_is_none(batch):
    with pytest.raises(ConfigError, match="batch is"):
        make(plain(9), batch)


def test_refused():
    with pytest.raises(
        ConfigError, match="array has 9 samples, too few for a batch of 10; choose a batch of at most 9"
    ):
        make(plain(9), 10)
    for dataset in (plain(9), ring()):
        with pytest.raises(ConfigError, match="no labels to balance"):
            make(dataset, 3, balanced=True)
