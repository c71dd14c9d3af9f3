"""Streams, events, graphs and the device: everything is done at once, except while a stream captures."""

import time
from contextlib import suppress

import numpy as np

MEMORY = 8 << 30


class CUDARuntimeError(RuntimeError):
    def __init__(self, name, status=0):
        self.status = status
        super().__init__(name)


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class Pool:
    """What has been allocated is counted, and a limit is kept."""

    def __init__(self):
        self.most, self.used = 0, 0

    def take(self, nbytes):
        if self.most and nbytes > self.most:
            raise OutOfMemoryError(
                f"Out of memory allocating {nbytes:,} bytes (allocated so far: {self.used:,} bytes, limit set to: "
                f"{self.most:,} bytes)."
            )
        self.used += nbytes

    def malloc(self, nbytes):
        raise NotImplementedError

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.used

    def free_bytes(self):
        return 0

    def free_all_blocks(self, stream=None):
        pass

    def set_limit(self, size=None, fraction=None):
        self.most = size or 0

    def get_limit(self):
        return self.most


pool = Pool()


class Graph:
    """What was submitted while a stream captured."""

    def __init__(self):
        self.work = []

    def launch(self, stream=None):
        if capturing():
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: a graph inside a graph", 900)
        for each in self.work:
            each()

    def upload(self, stream=None):
        pass


_captured = None  # the graph that is being written down
_stack = []


def capturing():
    return _captured is not None


def submit(work):
    """Do it, or write it down."""
    if _captured is None:
        work()
    else:
        _captured.work.append(work)


def refuse(what):
    """Raise CUDA's error for what must not happen while a stream captures."""
    if capturing():
        raise CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing ({what})", 900
        )


class Stream:
    null = None
    _next = 0

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else 16 + 16 * Stream._next
        Stream._next += not null

    def __enter__(self):
        _stack.append(self)
        return self

    def __exit__(self, *args):
        _stack.pop()

    def use(self):
        _stack[-1:] = [self]
        return self

    def __eq__(self, other):
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self):
        return hash(self.ptr)

    @property
    def done(self):
        refuse("a query")
        return True

    def synchronize(self):
        refuse("synchronize")

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        pass

    def is_capturing(self):
        return capturing()

    def begin_capture(self, mode=None):
        global _captured
        if self.ptr == 0:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: the legacy stream cannot capture", 900)
        if capturing():
            raise CUDARuntimeError("cudaErrorIllegalState: a stream captures already", 401)
        _captured = Graph()

    def end_capture(self):
        global _captured
        if not capturing():
            raise CUDARuntimeError("cudaErrorIllegalState: no stream captures", 401)
        graph, _captured = _captured, None
        return graph


Stream.null = Stream(null=True)
_stack.append(Stream.null)


def get_current_stream(device_id=-1):
    return _stack[-1]


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.time = 0.0

    done = True

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        refuse("synchronize")


def get_elapsed_time(start, stop):
    return (stop.time - start.time) * 1000


class Device:
    def __init__(self, device=None):
        self.id = device or 0

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def use(self):
        pass

    def synchronize(self):
        refuse("synchronize")

    compute_capability = "90"

    @property
    def mem_info(self):
        return MEMORY - pool.used % MEMORY, MEMORY


class Runtime:
    """cupy.cuda.runtime."""

    CUDARuntimeError = CUDARuntimeError
    memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice = 1, 2, 3  # noqa: N815
    streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = 0, 1, 2  # noqa: N815

    def getDeviceCount(self):
        return 1

    def runtimeGetVersion(self):
        return 13000

    def driverGetVersion(self):
        return 13000

    def memGetInfo(self):
        return Device().mem_info

    def getDevice(self):
        return 0

    def deviceSynchronize(self):
        refuse("synchronize")

    def getDeviceProperties(self, device):
        return {
            "name": b"an emulator on the CPU",
            "major": 9,
            "minor": 0,
            "multiProcessorCount": 2,
            "totalGlobalMem": MEMORY,
        }

    def memcpyAsync(self, to, source, size, kind, stream):
        submit(lambda: _move(to, source, size))

    def memcpy(self, to, source, size, kind):
        refuse("memcpy")
        _move(to, source, size)

    def memsetAsync(self, to, value, size, stream):
        submit(lambda: memory(to, size).fill(value))


def memory(pointer, size):
    """The bytes at an address."""
    import ctypes

    return np.frombuffer((ctypes.c_uint8 * size).from_address(pointer), np.uint8)


def _move(to, source, size):
    with suppress(ZeroDivisionError):
        memory(to, size)[:] = memory(source, size)


runtime = Runtime()
