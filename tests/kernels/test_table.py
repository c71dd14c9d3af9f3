"""The table of kernels: the versions of an operation share names, arguments and defaults."""

import importlib
import inspect
import pkgutil

import pytest

import npgan.kernels
from npgan.backend import get_backend

OPERATIONS = [m.name for m in pkgutil.iter_modules(npgan.kernels.__path__) if m.ispkg]


def public(operation, version):
    """Return the public functions of a version, with their arguments."""
    name = f"npgan.kernels.{operation}.{version}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in (name, "cupy"):
            pytest.skip(f"there is no {name}" if error.name == name else "CuPy is not installed")
        raise
    return {
        key: inspect.signature(value)
        for key, value in vars(module).items()
        if not key.startswith("_") and inspect.isfunction(value) and value.__module__ == name
    }


# Helpers of a reference that no backend calls through the table.
HELPERS = {("random", "philox")}


@pytest.mark.parametrize("version", ["cpu", "gpu"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_versions_have_one_signature(operation, version):
    reference, other = public(operation, "reference"), public(operation, version)
    reference = {name: s for name, s in reference.items() if (operation, name) not in HELPERS}
    assert reference
    assert other.keys() == reference.keys()
    for name, signature in reference.items():
        # Names, order, kind, defaults and annotations: a Parameter compares all. But for a backend's own keywords.
        shared = [p for p in other[name].parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert shared == list(signature.parameters.values()), name


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_operation_is_looked_up_once(backend):
    kernels = get_backend(backend).kernels
    assert kernels.dense.__name__ == f"npgan.kernels.dense.{backend}"
    assert kernels.dense is kernels.dense
    assert "dense" in vars(kernels)


@pytest.mark.parametrize("name", ["fusion_reactor", "_philox"])
def test_an_unknown_operation(name):
    with pytest.raises(AttributeError, match="no operation"):
        getattr(get_backend("cpu").kernels, name)


def test_the_gpu_table_falls_back_to_the_reference():
    kernels = npgan.kernels.Kernels("gpu")
    for operation in OPERATIONS:
        assert getattr(kernels, operation).__name__.rpartition(".")[2] in ("gpu", "reference")


def test_a_backend_tells_its_functions_what_they_want_to_know():
    from npgan.kernels.dense import gpu

    kernels = npgan.kernels.Kernels("gpu", compute="bf16", nobody="asks")
    assert kernels.dense.forward.keywords == {"compute": "bf16"}
    assert kernels.dense.forward.func is gpu.forward
    assert kernels.dense.workspace is gpu.workspace  # it does not ask
    assert kernels.bias.__name__ == "npgan.kernels.bias.gpu"
    assert npgan.kernels.Kernels("gpu", compute="tf32").dense.forward.keywords == {"compute": "tf32"}
