"""What may be called while a step is written down computes nothing but by kernels: read in the sources."""

import ast
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

import npgan.kernels.conv
from npgan.backend import get_backend
from npgan.backend.step_calls import RECORDED, WRITERS

COMPILED = {"kernel", "compiled", "exact", "intrinsic", "overload"}
# These refuse to be written down before, or do not come to it then, or are not in the list.
ELSEWHERE = {
    "arrays": {"copy", "add"},
    "loss": {"_value", "_constant", "linear_curvature", "hinge_curvature", "cross_entropy_curvature"},
    "random": {"_fill"},
    "reduce": {"collect"},
    "scratch": {"arrays"},  # a sum of whole numbers
}


EMITTERS = ("separable",)  # which makes code, not arrays


def modules() -> list[ModuleType]:
    found = [importlib.import_module(f"npgan.kernels.{operation}.cpu") for operation in RECORDED]
    parts = [m.name for m in pkgutil.iter_modules(npgan.kernels.conv.__path__)]
    of_cpu = [
        name for name in parts if name not in ("reference", "windows", "cpu", *EMITTERS) and not name.startswith("gpu")
    ]
    found += [importlib.import_module(f"npgan.kernels.conv.{name}") for name in of_cpu]
    return [*found, importlib.import_module("npgan.kernels.product")]


def interpreted(tree):
    """Yield the functions that are run by Python, when they are called."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from interpreted(node)
        elif isinstance(node, ast.FunctionDef):
            names = {name.id for d in node.decorator_list for name in ast.walk(d) if isinstance(name, ast.Name)}
            cached = "lru_cache" in names  # tables, and kernels being made
            if not names & COMPILED and not cached:
                yield node


def writes(function, module):
    """Return what of a function could write to an array, now and not when it is written down."""
    found = []
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        stores = any(isinstance(target, ast.Subscript) for target in targets) or isinstance(node, ast.AugAssign)
        into = isinstance(node, ast.Call) and any(keyword.arg == "out" for keyword in node.keywords)
        copies = isinstance(node, ast.Attribute) and node.attr in ("copyto", "fill", "put", "sort")
        runs = isinstance(node, ast.Call) and isinstance(called(node.func, module), Dispatcher)
        if stores or into or copies or runs:
            found.append(ast.unparse(node))
    return found


def called(node, module):
    """Return what a name stands for in a module, or a name in a module that it has imported."""
    if isinstance(node, ast.Attribute):
        return getattr(called(node.value, module), node.attr, None)
    return vars(module).get(node.id) if isinstance(node, ast.Name) else None


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_functions_that_are_run_as_they_are_write_nothing(module):
    name = module.__name__.split(".")[-2] if module.__name__.endswith(".cpu") else module.__name__.split(".")[-1]
    for function in interpreted(ast.parse(inspect.getsource(module))):
        if function.name not in ELSEWHERE.get(name, ()):
            assert not writes(function, module), function.name


def test_it_would_be_seen():
    bad = """
def forward(y, x):
    y[...] = 0
    y += 1
    np.add(y, x, out=y)
    np.copyto(y, x)
    _forward(0, 1, y, x, None)
"""
    (function,) = interpreted(ast.parse(bad))
    assert len(writes(function, importlib.import_module("npgan.kernels.bias.cpu"))) == 5


def test_all_that_is_listed_is_there():
    table = get_backend("cpu").kernels
    for operation, functions in [*RECORDED.items(), *((operation, (name,)) for operation, name in WRITERS)]:
        for function in functions:
            assert inspect.isfunction(getattr(getattr(table, operation), function)), (operation, function)
