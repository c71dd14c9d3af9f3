import importlib
import os
import shutil
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

# The same examples every time on CI; elsewhere new ones, so that a laptop finds what CI did not.
hypothesis.settings.register_profile(
    "npgan", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI")), print_blob=True
)
hypothesis.settings.load_profile("npgan")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes too")


@lru_cache(maxsize=1)
def no_gpu():
    """Return why there is no GPU to test on, or None."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy cannot be imported: {error}"
    try:
        return None if cupy.cuda.runtime.getDeviceCount() else "there is no CUDA device"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CUDA says: {error}"


def _on_device(item):
    """Return whether a test is on a GPU where there is one, and on the emulator where there is none."""
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "cupy" in item.fixturenames or any(getattr(each, "__name__", "").endswith(".gpu") for each in given)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        if _on_device(item):
            item.add_marker(pytest.mark.device)
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: run with --slow"))
        if item.get_closest_marker("peer") and find_spec("torch") is None:
            item.add_marker(pytest.mark.skip(reason="PyTorch is not installed"))
        if item.get_closest_marker("gpu") and no_gpu():
            item.add_marker(pytest.mark.skip(reason=no_gpu()))


@pytest.fixture
def data_root():
    """The directory of real data sets; tests that need them skip without it."""
    root = os.environ.get("NPGAN_TEST_DATA")
    if not root:
        pytest.skip("NPGAN_TEST_DATA names no directory with real data sets")
    return Path(root)


def _forget_cupy():
    """Take CuPy out of what is imported, and what was compiled with it out of npgan; return the modules."""
    from npgan.backend import cuda

    cuda.forget()
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "cupy"}


@pytest.fixture(scope="module")
def emulator():
    """The stand-in for CuPy of tests/emulator, as the module `cupy`."""
    if shutil.which("g++") is None:
        pytest.skip("the emulator of a GPU needs g++, to compile the CUDA sources with")
    real, path = _forget_cupy(), str(Path(__file__).parent / "emulator")
    sys.path.insert(0, path)
    try:
        yield importlib.import_module("cupy")
    finally:
        sys.path.remove(path)
        _forget_cupy()
        sys.modules.update(real)


@pytest.fixture(scope="module")
def cupy(request):
    """CuPy on a device where there is one, else the emulator."""
    if no_gpu() is None:
        return importlib.import_module("cupy")
    return request.getfixturevalue("emulator")
