import os
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


def pytest_collection_modifyitems(config, items):
    for item in items:
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
