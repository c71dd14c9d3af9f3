"""The CUDA sources compile for the GPUs of a data centre: by nvcc, and by NVRTC where CuPy has it."""

import shutil
import subprocess
from importlib.util import find_spec

import pytest

from npgan.backend import cuda

SOURCES = sorted(path.relative_to(cuda.SOURCES) for path in cuda.SOURCES.glob("*/*.cu"))
OPERATIONS = [p.parent.name if p.stem == "gpu" else f"{p.parent.name}/{p.stem}" for p in SOURCES]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
operations = pytest.mark.parametrize("operation", OPERATIONS)


@operations
@dtypes
def test_nvcc(operation, dtype, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    source = tmp_path / "gpu.cu"
    source.write_text(cuda.source(operation), encoding="utf-8")
    targets = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90,code=sm_90"]
    command = ["nvcc", *cuda.flags(dtype), "-Werror", "all-warnings", "-fatbin", "-o", str(tmp_path / "gpu.fatbin")]
    done = subprocess.run([*command, *targets, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@operations
@dtypes
def test_nvrtc(operation, dtype):
    if find_spec("cupy") is None:
        pytest.skip("CuPy, which brings NVRTC, is not installed")
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(cuda.source(operation), f"{operation}.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*cuda.flags(dtype), "-arch=compute_80"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
