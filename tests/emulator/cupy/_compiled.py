"""RawModule by g++: the same .cu source, behind device.h, as a shared library that is kept by its text."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from cupy import _arrays, _streams

HEADER = Path(__file__).with_name("device.h")
INCLUDE = f"-I{HEADER.parent}"  # for tensor.h
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off", "-w", INCLUDE)
COMPILER = shutil.which("g++")


class CompileException(Exception):  # noqa: N818
    """As cupy.cuda.compiler's."""


def _cache():
    return Path(os.environ.get("NPGAN_CACHE_DIR") or tempfile.gettempdir()) / "npgan-emulator"


def _build(code, options):
    macros = [option for option in options if option.startswith("-D")]
    headers = "".join(path.read_text() for path in sorted(HEADER.parent.glob("*.h")))
    text = headers + code + repr((macros, FLAGS, COMPILER)) + _TRAMPOLINE
    library = _cache() / (hashlib.sha256(text.encode()).hexdigest()[:24] + ".so")
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        source, made = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        source.write_text(code)
        # `__global__` is left as it is, so that the kernels can be found among what the macros made.
        preprocess = [COMPILER, "-x", "c++", "-std=c++17", "-E", "-P", "-DNPGAN_EMULATOR=1", INCLUDE]
        names = _KERNEL.findall(_run([*preprocess, *macros, str(source)]))
        # In a namespace without a name, so that shared memory in templates can lie in a section of its own.
        body = f'#include "{HEADER}"\nnamespace {{\n#line 1 "kernel.cu"\n{code}\n}}\n'
        source.write_text(body + "".join(map(_trampoline, names)))
        _run([COMPILER, *FLAGS, *macros, str(source), "-o", str(made)])
        os.replace(made, library)
    return library


_BOUNDS = r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?"
_KERNEL = re.compile(rf"__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(")
_TRAMPOLINE = """
#pragma GCC visibility push(default)
extern "C" int npgan_launch_NAME(void **arguments, const unsigned *sizes, size_t shared) {
    return emulator::launch(NAME, arguments, sizes, shared);
}
extern "C" void npgan_signature_NAME(char *out) { emulator::signature(NAME, out); }
#pragma GCC visibility pop
"""


def _trampoline(name):
    return _TRAMPOLINE.replace("NAME", name)


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileException(done.stderr[-4000:])
    return done.stdout


class RawModule:
    def __init__(
        self,
        code=None,
        *,
        path=None,
        options=(),
        backend="nvrtc",
        translate_cucomplex=False,
        enable_cooperative_groups=False,
        name_expressions=None,
        jitify=None,
    ):
        if not isinstance(options, tuple):
            raise TypeError("options is a tuple")
        self._code, self._options, self._library = code, options, None

    def compile(self, log_stream=None):
        if self._library is None:
            self._library = ctypes.CDLL(str(_build(self._code, self._options)))

    def get_function(self, name):
        self.compile()
        try:
            return RawKernel(self._library, name)
        except AttributeError:
            raise _streams.CUDARuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}") from None


class RawKernel:
    """One kernel; arguments are checked against its parameters, which CUDA does not do."""

    max_dynamic_shared_size_bytes = 48 << 10

    def __init__(self, library, name):
        self.name, self._launch = name, library[f"npgan_launch_{name}"]
        letters = ctypes.create_string_buffer(64)
        library[f"npgan_signature_{name}"](letters)
        self.signature = letters.value.decode()

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        if not all(1 <= n < 2**31 for n in grid) or grid[1] > 65535 or grid[2] > 65535:
            raise _streams.CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: grid {grid}")
        if not 1 <= int(np.prod(block)) <= 1024 or min(block) < 1:
            raise _streams.CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: block {block}")
        if shared_mem > self.max_dynamic_shared_size_bytes or shared_mem > 227 << 10:
            raise _streams.CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: {shared_mem} bytes of shared memory")
        if len(args) != len(self.signature):
            raise TypeError(f"{self.name} takes {len(self.signature)} arguments, {len(args)} were given")
        held, arrays = [], []
        for i, (arg, letter) in enumerate(zip(args, self.signature, strict=True)):
            held.append(self._argument(i, arg, letter))
            if isinstance(arg, _arrays.ndarray):
                arrays.append(arg._a)
        pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(each) for each in held))
        sizes = (ctypes.c_uint * 6)(*grid, *block)

        def work(held=held):
            if self._launch(pointers, sizes, ctypes.c_size_t(shared_mem)):
                raise RuntimeError(f"{self.name}: some threads wait at a barrier that others never reach")
            for array in arrays:
                _arrays.check_guards(array, self.name)

        _streams.submit(work)

    def _argument(self, i, arg, letter):
        what = f"{self.name}: argument {i} is a {type(arg).__name__}, but the parameter is"
        if isinstance(arg, _arrays.ndarray):
            if letter != "p":
                raise TypeError(f"{what} no pointer")
            return ctypes.c_void_p(arg.data.ptr)
        if isinstance(arg, bool | int | np.integer):
            if letter == "i" and isinstance(arg, np.int32 | np.uint32):
                return ctypes.c_int32(int(arg))
            if letter not in "pl" or isinstance(arg, bool | np.bool_) or getattr(arg, "itemsize", 8) != 8:
                raise TypeError(f"{what} of another size or kind ({letter})")
            return ctypes.c_int64(int(arg))
        if isinstance(arg, np.float32):
            if letter != "f":
                raise TypeError(f"{what} no float")
            return ctypes.c_float(arg)
        if isinstance(arg, float):
            if letter != "d":
                raise TypeError(f"{what} no double")
            return ctypes.c_double(arg)
        raise TypeError(f"Unsupported type {type(arg)}")
