import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.data.prefetch import Prefetcher


class Filler:
    def __init__(self, slots, delay=0.0):
        self.held = [None] * slots
        self.order = []
        self.delay = delay

    def __call__(self, cursor, slot):
        self.held[slot] = None
        time.sleep(self.delay)
        self.order.append(cursor)
        if cursor % 10 == 7:
            raise ValueError(f"batch {cursor}")
        self.held[slot] = cursor


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=25), st.integers(1, 4))
def test_any_order(cursors, ahead):
    fill = Filler(ahead + 2)
    prefetcher = Prefetcher(fill, ahead)
    before = None
    for cursor in cursors:
        if cursor % 10 == 7:
            with pytest.raises(ValueError, match=f"batch {cursor}"):
                prefetcher.get(cursor)
            before = None  # the failed get counts: what was handed out before it may go at the next
            continue
        slot = prefetcher.get(cursor)
        assert fill.held[slot] == cursor
        if before is not None:
            assert fill.held[before[1]] == before[0]
        before = cursor, slot
    prefetcher.close()


def test_the_batch_before_stays():
    fill = Filler(4)
    prefetcher = Prefetcher(fill, 2)
    slots = [prefetcher.get(0)]
    for cursor in range(1, 6):
        slots.append(prefetcher.get(cursor))
        time.sleep(0.02)  # the thread gets as far as it can
        assert [fill.held[slot] for slot in slots[-2:]] == [cursor - 1, cursor]
    prefetcher.close()


def test_each_batch_is_made_once_in_order():
    fill = Filler(4, delay=0.001)
    prefetcher = Prefetcher(fill, 2)
    for cursor in range(100, 107):
        prefetcher.get(cursor)
    prefetcher.close()
    made = [cursor for cursor in fill.order if cursor >= 100]
    assert made[:7] == list(range(100, 107))
    assert len(made) == len(set(made))


def test_it_works_ahead():
    fill = Filler(5)
    prefetcher = Prefetcher(fill, 3)
    prefetcher.get(0)
    deadline = time.monotonic() + 20
    while len(fill.order) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert fill.order[:4] == [0, 1, 2, 3]
    prefetcher.close()


def test_errors_ahead_come_when_their_batch_is_asked_for():
    prefetcher = Prefetcher(Filler(4), 2)
    for cursor in (4, 5, 6):
        prefetcher.get(cursor)
    for _ in range(2):
        with pytest.raises(ValueError, match="batch 7"):
            prefetcher.get(7)
    assert prefetcher.get(8) is not None
    assert prefetcher.get(6) is not None
    prefetcher.close()


def test_close_and_go_on():
    fill = Filler(3)
    prefetcher = Prefetcher(fill, 1)
    before = threading.active_count()
    prefetcher.close()
    for _ in range(3):
        assert fill.held[prefetcher.get(3)] == 3
        assert threading.active_count() == before + 1
        prefetcher.close()
        prefetcher.close()
        assert threading.active_count() == before


def test_a_thread_that_is_killed_is_noticed(monkeypatch):
    prefetcher = Prefetcher(Filler(3), 1)
    monkeypatch.setattr(prefetcher, "_work", lambda: None)
    with pytest.raises(Exception, match="ended before batch 2"):
        prefetcher.get(2)
