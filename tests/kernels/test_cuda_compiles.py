"""The CUDA sources compile for the GPUs of a data centre: by nvcc, and by NVRTC where CuPy has it."""

import shutil
import subprocess
from importlib.util import find_spec

import pytest

from npgan.backend import cuda

SOURCES = sorted(path.relative_to(cuda.SOURCES) for path in cuda.SOURCES.glob("*/*.cu"))
OPERATIONS = [p.parent.name if p.stem == "gpu" else f"{p.parent.name}/{p.stem}" for p in SOURCES]


def variants():
    """Return what is compiled: (operation, dtype, macros), those of convolution with each product that it makes."""
    found = [(operation, dtype, ()) for operation in OPERATIONS for dtype in ("float32", "float64")]
    for compute in ("TF32", "BF16"):
        for which in ("FORWARD", "DATA", "WEIGHT"):
            sizes = (f"COMPUTE={compute}", "VECTOR=4", "TILE_ROWS=128", "TILE_COLUMNS=64", "TILE_DEPTH=16")
            found.append(("conv", "float32", (f"MAP={which}", *sizes)))
    return [pytest.param(*each, id="-".join([*each[:2], *each[2][:2]])) for each in found]


compiled = pytest.mark.parametrize(("operation", "dtype", "macros"), variants())


@compiled
def test_nvcc(operation, dtype, macros, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    source = tmp_path / "gpu.cu"
    source.write_text(cuda.source(operation), encoding="utf-8")
    # What does not ask for which GPU it is compiled need not be for each; but tensor cores' instructions are theirs.
    assert "__CUDA_ARCH__" not in cuda.source(operation)
    chips = (80, 90) if macros else (90,) if dtype == "float32" else (80,)
    targets = [f"-gencode=arch=compute_{chip},code=sm_{chip}" for chip in chips]
    flags = [*cuda.flags(dtype, macros), "-Werror", "all-warnings", "-fatbin", "-o", str(tmp_path / "gpu.fatbin")]
    done = subprocess.run(["nvcc", *flags, *targets, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@compiled
def test_nvrtc(operation, dtype, macros):
    if find_spec("cupy") is None:
        pytest.skip("CuPy, which brings NVRTC, is not installed")
    if macros:
        pytest.skip("where CUDA's own headers are, CuPy knows")
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(cuda.source(operation), f"{operation}.cu", (), ())
    as_cupy_does = ("-ftz=true", "--device-as-default-execution-space", "-arch=compute_80")
    try:
        nvrtc.compileProgram(program, (*cuda.flags(dtype), *as_cupy_does))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
