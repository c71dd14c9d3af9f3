"""Arrays that behave as CuPy's do towards NumPy's: they never mix without being asked.

An array wraps a NumPy array. What computes goes through `submit`, so that a stream that captures can write it down
instead of doing it. Memory begins as NaN and lies between guards, which every launch looks at.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from cupy import _streams

GUARD = 256
_MAGIC = 0xA5


class Allocation(np.ndarray):
    """Bytes with a guard on either side."""


class MemoryPointer:
    def __init__(self, array):
        self.ptr = array.__array_interface__["data"][0]


class Flags:
    """CuPy's flags: there is no `writeable`."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


def unwrap(value):
    """Return what NumPy computes with; a NumPy array among CuPy's is refused."""
    if isinstance(value, ndarray):
        return value._a
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(unwrap(each) for each in value)
    if isinstance(value, dict):
        return {key: unwrap(each) for key, each in value.items()}
    return value


def wrap(value):
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return ndarray._of(value)
    if isinstance(value, tuple | list):
        return type(value)(wrap(each) for each in value)
    return value


def compute(function, args, kwargs, into=None):
    """Do what NumPy does, now or when the captured graph is launched."""
    raw, options = unwrap(args), unwrap(kwargs)
    if into is not None:
        _streams.submit(lambda: _quietly(function, raw, options))
        return into
    found = _quietly(function, raw, options)
    if _streams.capturing():
        arrays = [found] if isinstance(found, np.ndarray | np.generic) else list(found)
        inputs = [a for a in [*raw, *options.values()] if isinstance(a, np.ndarray)]
        if not any(np.may_share_memory(new, old) for new in arrays for old in inputs):
            results = [np.array(new) for new in arrays]
            for result in results:
                result.reshape(-1).view(np.uint8)[...] = 0xFF  # nobody sees it before the graph has run

            def again():
                new = _quietly(function, raw, options)
                new = [new] if isinstance(new, np.ndarray | np.generic) else new
                for result, value in zip(results, new, strict=True):
                    result[...] = value

            _streams.submit(again)
            found = results[0] if isinstance(found, np.ndarray | np.generic) else tuple(results)
    return wrap(found)


def _quietly(function, args, options):
    with np.errstate(all="ignore"):  # a GPU gives no warnings
        return function(*args, **options)


class ndarray(NDArrayOperatorsMixin):  # noqa: N801
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        self._a = allocate(shape, dtype)

    @classmethod
    def _of(cls, array):
        self = object.__new__(cls)
        self._a = array
        return self

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    size = property(lambda self: self._a.size)
    ndim = property(lambda self: self._a.ndim)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    strides = property(lambda self: self._a.strides)
    data = property(lambda self: MemoryPointer(self._a))
    flags = property(lambda self: Flags(self._a.flags))
    T = property(lambda self: wrap(self._a.T))
    real = property(lambda self: wrap(self._a.real) if self._a.dtype.kind == "c" else self)
    device = property(lambda self: _streams.Device(0))
    __cuda_array_interface__ = property(
        lambda self: {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False), "version": 3}
    )

    def get(self, stream=None, order="C", out=None, blocking=True):
        _streams.refuse("a copy to the host")
        if out is not None:
            out[...] = self._a
            return out
        return self._a.copy()

    def set(self, host, stream=None):
        if not isinstance(host, np.ndarray) or host.shape != self.shape or host.dtype != self.dtype:
            raise TypeError("only a NumPy array of this shape and dtype can be set")
        _streams.submit(lambda: self._a.__setitem__(..., host))

    def item(self, *args):
        return self.get().item(*args)

    def tolist(self):
        return self.get().tolist()

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method == "at":
            return compute(ufunc.at, inputs, kwargs, into=inputs[0]) and None
        if method not in ("__call__", "reduce"):
            return NotImplemented
        function = getattr(ufunc, method)
        if out is None:
            return compute(function, inputs, kwargs)
        if not isinstance(out[0], ndarray):
            raise TypeError(f"Unsupported type {type(out[0])}")
        return compute(function, inputs, {**kwargs, "out": out[0]}, into=out[0])

    def __array_function__(self, function, types, args, kwargs):
        return call(function, args, kwargs)

    def __getitem__(self, key):
        return compute(np.ndarray.__getitem__, (self, key), {})

    def __setitem__(self, key, value):
        compute(np.ndarray.__setitem__, (self, key, value), {}, into=self)

    def __getattr__(self, name):
        if name.startswith("_") or name in ("base", "ctypes", "writeable", "tobytes"):
            raise AttributeError(f"CuPy's arrays have no {name}")
        method = getattr(np.ndarray, name)
        if not callable(method):
            return wrap(getattr(self._a, name))
        into = self if name in ("fill", "sort", "partition") else None
        return lambda *args, **kwargs: call(method, (self, *args), kwargs, into)

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __index__(self):
        return self.get().__index__()

    def __complex__(self):
        return complex(self.get())

    def __format__(self, spec):
        return format(self.get(), spec) if not self.shape else format(repr(self), spec)

    def __repr__(self):
        return repr(self._a if _streams.capturing() else self.get())

    __hash__ = None


def call(function, args, kwargs, into=None):
    """Call one of NumPy's functions, or a method, on these arrays."""
    if "out" in kwargs and kwargs["out"] is not None:
        into = kwargs["out"]
        if not isinstance(into, ndarray):
            raise TypeError(f"Unsupported type {type(into)}")
    elif function is np.copyto:
        into = args[0]
    elif function in (np.may_share_memory, np.shares_memory):
        return function(*unwrap(args), **kwargs)
    return compute(function, args, {k: v for k, v in kwargs.items() if k != "like"}, into)


def allocate(shape, dtype):
    """Return memory that holds NaN, between guards."""
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    _streams.pool.take(nbytes)
    raw = np.empty(nbytes + 2 * GUARD + 512, np.uint8).view(Allocation)
    start = GUARD + -(raw.__array_interface__["data"][0] + GUARD) % 512
    raw[:] = 0xFF
    raw.inside = slice(start, start + nbytes)
    raw[start - GUARD : start] = raw[start + nbytes : start + nbytes + GUARD] = _MAGIC
    return np.asarray(raw[start : start + nbytes]).view(dtype).reshape(shape)


def check_guards(array, what):
    """Raise an error where somebody has written outside the memory that an array is part of."""
    base = array
    while base is not None and getattr(base, "inside", None) is None:
        base = getattr(base, "base", None)
    if base is None:
        return
    inside, raw = base.inside, np.asarray(base)
    for guard in (raw[inside.start - GUARD : inside.start], raw[inside.stop : inside.stop + GUARD]):
        if (guard != _MAGIC).any():
            raise RuntimeError(f"{what} wrote outside the memory of an array of shape {array.shape}")
