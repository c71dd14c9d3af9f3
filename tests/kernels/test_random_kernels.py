"""Philox: known answers, and the compiled version against the reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import threads
from npgan.kernels.random import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
DRAWS = {"uniform": (-1.0, 3.0), "normal": (2.0, 0.5), "integers": (10,)}
draws = pytest.mark.parametrize("draw", DRAWS)
word = st.integers(0, 2**32 - 1)
key = st.tuples(word, word, word, word, word)

# Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, output.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def dtype_of(draw, wide=True):
    return np.int64 if draw == "integers" else np.float64 if wide else np.float32


def drawn(version, draw, shape, k, wide=True):
    out = np.full(shape, 7, dtype_of(draw, wide))
    getattr(version, draw)(out, *k, *DRAWS[draw])
    return out


@versions
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(version, counter, key, expected):
    if version is reference:
        found = reference.philox(np.array(counter[:1], np.uint64), *counter[1:], *key)[0]
    else:
        found = cpu._philox(*counter, *key)
    assert " ".join(f"{int(w):08x}" for w in found) == expected


@draws
@given(n=st.integers(0, 70), k=key, wide=st.booleans())
def test_compiled_equals_reference(draw, n, k, wide):
    found, expected = drawn(cpu, draw, n, k, wide), drawn(reference, draw, n, k, wide)
    if draw == "integers":
        np.testing.assert_array_equal(found, expected, strict=True)
    else:
        # Compiled code may fuse a multiplication and an addition; the numbers are of size 1.
        np.testing.assert_allclose(found, expected, rtol=0, atol=16 * np.finfo(found.dtype).eps, strict=True)


@versions
@draws
@given(n=st.integers(1, 150), more=st.integers(0, 9), k=key)
def test_a_longer_draw_begins_with_the_shorter(version, draw, n, more, k):
    for wide in (True, False):
        np.testing.assert_array_equal(drawn(version, draw, n, k, wide), drawn(version, draw, n + more, k, wide)[:n])


@versions
@draws
def test_shape_and_layout_do_not_matter(version, draw):
    k = (1, 2, 3, 4, 5)
    flat = drawn(version, draw, 60, k)
    np.testing.assert_array_equal(drawn(version, draw, (3, 4, 5), k).ravel(), flat)
    args = (*k, *DRAWS[draw])
    for view in (
        np.zeros((3, 8, 5), flat.dtype)[:, ::2],
        np.zeros((5, 4, 3), flat.dtype).T,
        np.zeros((3, 4, 5), flat.dtype)[::-1],
        np.zeros(120, flat.dtype)[::2],
    ):
        getattr(version, draw)(view, *args)
        np.testing.assert_array_equal(view.reshape(-1), flat)


@draws
@pytest.mark.parametrize("wide", [True, False])
def test_threads_do_not_matter(draw, wide, monkeypatch):
    k, n = (1, 2, 3, 4, 5), 1_400_001  # enough work for several threads
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    one = drawn(cpu, draw, n, k, wide)
    for count in (2, 3, 7):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        np.testing.assert_array_equal(drawn(cpu, draw, n, k, wide), one)


def test_normal_numbers_in_float32_are_right_everywhere():
    # Not to a tolerance that is absolute: numbers near 0, where 1 - u is small or the angle is near an axis, count too.
    found, expected = drawn(cpu, "normal", 400_000, (1, 2, 3, 4, 5), wide=False), np.empty(400_000)
    cpu.normal(found, 1, 2, 3, 4, 5, 0.0, 1.0)
    reference.normal(expected, 1, 2, 3, 4, 5, 0.0, 1.0)
    np.testing.assert_allclose(found, expected, rtol=5e-7, atol=0)


@pytest.mark.parametrize("turn", [0, 1, 2**29 - 1, 2**29, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 7 * 2**29, 2**32 - 1])
@pytest.mark.parametrize("word", [0, 1, 2**23, 2**31, 3037000498, 3037000500, 2**32 - 2, 2**32 - 1])
def test_pairs_at_the_seams(word, turn):
    found = cpu._single_pair(np.uint64(word), np.uint64(turn))
    assert np.asarray(found).dtype == np.float32 or all(isinstance(v, float) for v in found)
    r = np.sqrt(-2 * np.log1p(-(2**32 - 1 - word) / 2**32))
    angle = 2 * np.pi * turn / 2**32
    np.testing.assert_allclose(found, (r * np.cos(angle), r * np.sin(angle)), rtol=0, atol=4e-7 * max(r, 1e-30))


@versions
@pytest.mark.parametrize("place", range(5))
def test_every_part_of_the_counter_matters(version, place):
    k = [1, 2, 3, 4, 5]
    first = drawn(version, "uniform", 100, k)
    k[place] += 1
    assert not np.any(drawn(version, "uniform", 100, k) == first)


@versions
def test_moments(version):
    n = 400_000
    u, z, i = (drawn(version, draw, n, (9, 8, 7, 6, 5)) for draw in ("uniform", "normal", "integers"))
    u, z = (u + 1) / 4, (z - 2) / 0.5
    for moment in (1, 2, 3, 4):  # to five standard errors
        error = 5 * np.sqrt((1 / (2 * moment + 1) - 1 / (moment + 1) ** 2) / n)
        assert abs(np.mean(u**moment) - 1 / (moment + 1)) < error
    for moment, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**moment) - expected) < 5 * np.sqrt(variance / n)
    for lag in (1, 2, 3, 4):  # neighbours, and both of a Box-Muller pair
        assert abs(np.mean(z[lag:] * z[:-lag])) < 5 / np.sqrt(n)
    assert np.all(np.abs(np.bincount(i, minlength=10) - n / 10) < 5 * np.sqrt(n * 0.09))


@versions
def test_the_ends_of_the_range(version, monkeypatch):
    # The largest word gives the largest number, below `high`; the smallest gives `low`, and a finite normal number.
    for value, expected in ((0xFFFFFFFF, 1 - 2.0**-24), (0, 0.0)):
        word = np.uint64(value)
        if version is reference:
            monkeypatch.setattr(reference, "philox", lambda c0, *rest, w=word: np.full((len(c0), 4), w))
            for dtype in (np.float32, np.float64):
                out = np.zeros(4, dtype)
                reference.uniform(out, 0, 0, 0, 0, 0, 0.0, 1.0)
                np.testing.assert_array_equal(out, dtype(expected))
            reference.normal(out, 0, 0, 0, 0, 0, 0.0, 1.0)
            assert np.isfinite(out).all()
            whole = np.zeros(4, np.int64)
            reference.integers(whole, 0, 0, 0, 0, 0, 7)
            assert set(whole) == {6 if value else 0}
    out = drawn(version, "normal", 1 << 16, (1, 1, 1, 1, 1))
    assert np.isfinite(out).all()
