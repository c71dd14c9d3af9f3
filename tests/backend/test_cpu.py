"""NumPy backends: memory, dtypes, what they say about themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import BACKENDS, Backend, get_backend
from npgan.errors import BackendError, DTypeError

backends = pytest.mark.parametrize("name", ["cpu", "reference"])


@given(
    shape=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    dtype=st.sampled_from(["float32", "float64", "int64", "uint8", "complex128"]),
)
def test_memory_is_aligned(shape, dtype):
    backend = get_backend("cpu")
    for array in (backend.empty(shape, dtype), backend.zeros(shape, dtype)):
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.ctypes.data % 64 == 0 or not array.size
    assert not array.any()


@backends
def test_arrays(name):
    backend = get_backend(name)
    assert isinstance(backend, Backend)
    assert get_backend(backend) is backend
    a = np.arange(3.0)
    assert backend.asarray(a) is a
    assert backend.to_host(a) is a
    view = backend.read_only(a)
    assert np.shares_memory(view, a)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    a[0] = 5
    assert view[0] == 5
    assert backend.synchronize() is None


@backends
def test_dtypes(name):
    backend = get_backend(name)
    assert backend.check_dtype("float32") == np.float32
    assert backend.check_dtype(np.float64) == np.float64
    for dtype in ("float16", "int64", "complex64", int, "nonsense", object(), None if name == "cpu" else "longdouble"):
        if dtype is None:
            continue  # NumPy takes None for float64
        with pytest.raises(DTypeError, match=rf"dtype is .*, expected one of .* on the {name} backend"):
            backend.check_dtype(dtype)


def test_only_the_reference_computes_complex_numbers():
    assert get_backend("reference").check_dtype("complex128") == np.complex128
    with pytest.raises(DTypeError):
        get_backend("cpu").check_dtype("complex128")


@backends
def test_it_describes_itself(name):
    found = get_backend(name).describe()
    assert found["backend"] == name
    assert found["numpy"] == np.__version__
    assert int(found["threads"]) >= 1
    assert found["blas"]
    assert ("numba" in found) == (name == "cpu")
    assert f"backend={name}" in repr(get_backend(name))


@pytest.mark.parametrize("name", ["tpu", "", None, 3])
def test_an_unknown_backend(name):
    with pytest.raises(BackendError, match="expected one of " + ", ".join(BACKENDS)):
        get_backend(name)
