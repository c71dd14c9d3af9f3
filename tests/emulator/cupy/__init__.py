"""A stand-in for CuPy on a machine without a GPU: test equipment, as small as npgan's use of CuPy allows.

Arrays are in host memory but refuse to mix with NumPy's; kernels are the same CUDA sources, compiled by g++; cuBLAS is
NumPy; a stream that captures writes down what is submitted, and refuses what CUDA refuses then. Put the directory that
this package lies in on the path, before any real CuPy.
"""

import contextlib
import sys
import types

import numpy as np

from cupy import _arrays, _compiled, _cublas, _streams
from cupy._arrays import ndarray

__version__ = "14.2.0"
EMULATOR = True
RawModule, RawKernel = _compiled.RawModule, _compiled.RawKernel


def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype)


def _filled(shape, value, dtype):
    made = ndarray(shape, dtype)
    made[...] = value
    return made


def zeros(shape, dtype=float, order="C"):
    return _filled(shape, 0, dtype)


def ones(shape, dtype=float, order="C"):
    return _filled(shape, 1, dtype)


def full(shape, value, dtype=None, order="C"):
    return _filled(shape, value, dtype or np.asarray(value).dtype)


def empty_like(a, dtype=None, order="K", subok=None, shape=None):
    return ndarray(a.shape if shape is None else shape, dtype or a.dtype)


def asarray(a, dtype=None, order=None, *, blocking=False):
    return a if isinstance(a, ndarray) and (dtype is None or a.dtype == dtype) else array(a, dtype)


def array(a, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if isinstance(a, ndarray):
        return a.astype(dtype or a.dtype)
    _streams.refuse("an upload of pageable memory")
    host = np.asarray(a, dtype)
    made = ndarray(host.shape, host.dtype)
    made._a[...] = host
    return made


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(out=out) if isinstance(a, ndarray) else np.asarray(a)


def get_default_memory_pool():
    return _streams.pool


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    function = getattr(np, name)
    if isinstance(function, type) or not callable(function):
        return function

    def on_device(*args, **kwargs):
        return _arrays.call(function, args, kwargs)

    return on_device


def _module(name, **names):
    module = types.ModuleType(name)
    module.__dict__.update(names)
    sys.modules[name] = module
    return module


cuda = _module(
    "cupy.cuda",
    runtime=_streams.runtime,
    Stream=_streams.Stream,
    Event=_streams.Event,
    Device=_streams.Device,
    Graph=_streams.Graph,
    get_current_stream=_streams.get_current_stream,
    get_elapsed_time=_streams.get_elapsed_time,
    cublas=_cublas,
    device=_module("cupy.cuda.device", get_cublas_handle=lambda: 1, Device=_streams.Device),
    memory=_module("cupy.cuda.memory", OutOfMemoryError=_streams.OutOfMemoryError),
    compiler=_module("cupy.cuda.compiler", CompileException=_compiled.CompileException),
    stream=_module("cupy.cuda.stream", get_current_stream=_streams.get_current_stream, Stream=_streams.Stream),
    get_cublas_handle=lambda: 1,
    alloc_pinned_memory=lambda nbytes: np.empty(nbytes, np.uint8),
    MemoryPool=lambda *args: _streams.pool,
    using_allocator=lambda allocator: contextlib.nullcontext(),
    set_allocator=lambda *args: None,
)
