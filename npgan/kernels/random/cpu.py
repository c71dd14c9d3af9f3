"""Philox4x32-10, compiled. See the reference for what the numbers are.

Draws are made in the array's dtype. Loops run over whole blocks of four, which the compiler then turns into vector
instructions; a last block that is cut short is made by itself. Nothing is contracted or reassociated, so that it makes
no difference which of them an element comes from.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import exact
from npgan.backend.threads import not_written, over_samples

_LOW = np.uint64(0xFFFFFFFF)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_32, _8 = np.uint64(32), np.uint64(8)
_QUARTER, _EIGHTH = np.uint64(30), np.uint64(1 << 29)  # of a turn of 2**32

_F = np.float32
_LN2 = _F(np.log(2.0))
_ROOT = _F(np.sqrt(0.5))
_TURN = _F(2.0 * np.pi / 2.0**32)
_STEP = _F(2.0**-32)


@exact
def _round(x0, x1, x2, x3, k0, k1):
    p0, p1 = x0 * _M0, x2 * _M1
    return (p1 >> _32) ^ x1 ^ k0, p1 & _LOW, (p0 >> _32) ^ x3 ^ k1, p0 & _LOW, (k0 + _W0) & _LOW, (k1 + _W1) & _LOW


@exact
def _philox(c0, c1, c2, c3, k0, k1):
    # Cut to 32 bits, so that the compiler knows that products of 32 bits will do; and not a loop, since only a loop
    # without one inside is turned into vector instructions.
    x0, x1, x2, x3 = np.uint64(c0) & _LOW, np.uint64(c1) & _LOW, np.uint64(c2) & _LOW, np.uint64(c3) & _LOW
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, np.uint64(k0) & _LOW, np.uint64(k1) & _LOW)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3, k0, k1 = _round(x0, x1, x2, x3, k0, k1)
    return x0, x1, x2, x3


@exact
def _single_pair(word, turn):
    """Box and Muller's pair in float32, with the words' full 32 bits: no float64, and no call that keeps it scalar.

    u = (word + 1) / 2**32. Below √½ its logarithm is that of the mantissa m in [√½, √2) and of the exponent; above, it
    is ln(1 - t) with t = 1 - u = ~word / 2**32, which has no cancellation. Either is 2 artanh(s), s = f / (2 + f),
    f = m - 1 or -t. The angle is reduced to an eighth of a turn either way of a quarter, exactly, as an integer.
    The polynomials are Taylor's, cut off below the rounding error.
    """
    x = (_F(word) + _F(1)) * _STEP
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23)  # the bits of √½: m lies in [√½, √2)
    m = np.int32(bits - (exponent << np.int32(23))).view(_F)
    above = x > _ROOT
    f = -_F(word ^ _LOW) * _STEP if above else m - _F(1)
    e = _F(0) if above else _F(exponent)
    s = f / (_F(2) + f)
    z = s * s
    series = _F(1) + z * (_F(1 / 3) + z * (_F(1 / 5) + z * (_F(1 / 7) + z * _F(1 / 9))))
    r = np.sqrt(_F(-2) * (_F(2) * s * series + e * _LN2))

    quarter = (turn + _EIGHTH) >> _QUARTER  # 0 to 4
    a = _F(np.int64(turn) - (np.int64(quarter) << np.int64(30))) * _TURN
    z = a * a
    sine = a * (_F(1) + z * (_F(-1 / 6) + z * (_F(1 / 120) + z * (_F(-1 / 5040) + z * _F(1 / 362880)))))
    cosine = _F(1) + z * (_F(-1 / 2) + z * (_F(1 / 24) + z * (_F(-1 / 720) + z * _F(1 / 40320))))
    odd = (quarter & np.uint64(1)) != np.uint64(0)
    first, second = (sine, cosine) if odd else (cosine, sine)
    if ((quarter + np.uint64(1)) & np.uint64(2)) != np.uint64(0):  # quarters 1 and 2
        first = -first
    if (quarter & np.uint64(2)) != np.uint64(0):  # quarters 2 and 3
        second = -second
    return r * first, r * second


@exact
def _pair(word, turn):
    """Box and Muller's pair in float64."""
    r = np.sqrt(-2.0 * np.log((np.float64(word) + 1.0) / 2.0**32))
    angle = 2.0 * np.pi * np.float64(turn) / 2.0**32
    return r * np.cos(angle), r * np.sin(angle)


@exact
def _four_uniform(words, low, width):
    real = type(low)
    return (
        low + width * (real(words[0] >> _8) * real(2.0**-24)),
        low + width * (real(words[1] >> _8) * real(2.0**-24)),
        low + width * (real(words[2] >> _8) * real(2.0**-24)),
        low + width * (real(words[3] >> _8) * real(2.0**-24)),
    )


@exact
def _four_normal(words, mean, std):
    a, b = _pair(words[0], words[1])
    c, d = _pair(words[2], words[3])
    return mean + std * a, mean + std * b, mean + std * c, mean + std * d


@exact
def _four_single(words, mean, std):
    a, b = _single_pair(words[0], words[1])
    c, d = _single_pair(words[2], words[3])
    return mean + std * a, mean + std * b, mean + std * c, mean + std * d


@exact
def _four_integers(words, high):
    return (words[0] * high) >> _32, (words[1] * high) >> _32, (words[2] * high) >> _32, (words[3] * high) >> _32


@exact
def _cut(out, four):
    for j in range(out.size):
        out[j] = four[j]


# A kernel is found in the cache by its own code and not by what it would close over, so there is one for each draw.


@exact
def _uniform(start, stop, out, k0, k1, step, stream, substream, low, high):
    low, width = out.dtype.type(low), out.dtype.type(high - low)
    whole = min(stop, out.size // 4)
    into = out[4 * start : 4 * whole]
    for b in range(whole - start):
        words = _philox(start + b, step, stream, substream, k0, k1)
        into[4 * b], into[4 * b + 1], into[4 * b + 2], into[4 * b + 3] = _four_uniform(words, low, width)
    if stop > whole:
        _cut(out[4 * whole :], _four_uniform(_philox(whole, step, stream, substream, k0, k1), low, width))


@exact
def _normal(start, stop, out, k0, k1, step, stream, substream, mean, std):
    whole = min(stop, out.size // 4)
    into = out[4 * start : 4 * whole]
    for b in range(whole - start):
        words = _philox(start + b, step, stream, substream, k0, k1)
        into[4 * b], into[4 * b + 1], into[4 * b + 2], into[4 * b + 3] = _four_normal(words, mean, std)
    if stop > whole:
        _cut(out[4 * whole :], _four_normal(_philox(whole, step, stream, substream, k0, k1), mean, std))


@exact
def _normal_single(start, stop, out, k0, k1, step, stream, substream, mean, std):
    mean, std = _F(mean), _F(std)
    whole = min(stop, out.size // 4)
    into = out[4 * start : 4 * whole]
    for b in range(whole - start):
        words = _philox(start + b, step, stream, substream, k0, k1)
        into[4 * b], into[4 * b + 1], into[4 * b + 2], into[4 * b + 3] = _four_single(words, mean, std)
    if stop > whole:
        _cut(out[4 * whole :], _four_single(_philox(whole, step, stream, substream, k0, k1), mean, std))


@exact
def _integers(start, stop, out, k0, k1, step, stream, substream, high):
    high = np.uint64(high)
    whole = min(stop, out.size // 4)
    into = out[4 * start : 4 * whole]
    for b in range(whole - start):
        words = _philox(start + b, step, stream, substream, k0, k1)
        into[4 * b], into[4 * b + 1], into[4 * b + 2], into[4 * b + 3] = _four_integers(words, high)
    if stop > whole:
        _cut(out[4 * whole :], _four_integers(_philox(whole, step, stream, substream, k0, k1), high))


def _fill(compiled, cost: int, out: Array, *args: float) -> None:
    if out.flags.c_contiguous:
        over_samples(compiled, (out.size + 3) // 4, cost * out.size, out.reshape(-1), *args, elements=True)
    else:
        not_written("numbers are drawn into an array that is not in one piece")
        target = np.empty(out.shape, out.dtype)
        _fill(compiled, cost, target, *args)
        out[...] = target


def uniform(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, low: float, high: float) -> None:
    """Fill out uniformly in [low, high)."""
    _fill(_uniform, 1, out, k0, k1, step, stream, substream, float(low), float(high))


def normal(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, mean: float, std: float) -> None:
    """Fill out with normal numbers."""
    compiled, cost = (_normal_single, 2) if out.dtype == np.float32 else (_normal, 20)
    _fill(compiled, cost, out, k0, k1, step, stream, substream, float(mean), float(std))


def integers(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, high: int) -> None:
    """Fill out with integers below high."""
    _fill(_integers, 1, out, k0, k1, step, stream, substream, high)
