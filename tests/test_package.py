"""What importing npgan costs, which module may import which, and that everything public is described."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import npgan

ROOT = Path(npgan.__file__).parent
HEAVY = {
    *("cupy", "numba", "matplotlib", "sklearn", "PIL", "scipy", "typer", "rich", "pooch"),
    *("tensorboardX", "safetensors", "torch"),
}

# What a module may import at its head: its own floor and those below. Packages of one line share a floor.
FLOORS = [
    ["errors", "_version"],
    ["options"],
    ["kernels"],  # the table alone; the operations are a floor of their own
    ["backend"],
    ["kernels.*"],
    ["layers"],
    ["network"],
    ["losses", "penalties", "optimizers", "data"],
    ["game", "gradcheck"],
    ["recipes"],
    ["training", "metrics"],
    ["study"],
    ["bench"],
    ["cli", "lab"],
    ["", "__main__"],  # npgan itself: the public names
]


def modules():
    """Return every module of the package by name, without importing any."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("npgan", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name, path):
    """Return the modules of npgan that a module imports at its head; those in functions and for typing do not count."""

    def walk(nodes):
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "npgan")
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} has a relative import"
                if (node.module or "").split(".")[0] == "npgan":
                    for alias in node.names:
                        submodule = f"{node.module}.{alias.name}"
                        yield submodule if submodule in MODULES else node.module
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse)
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef | ast.For | ast.While):
                for part in ("body", "orelse", "finalbody"):
                    yield from walk(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    yield from walk(handler.body)

    return set(walk(ast.parse(path.read_text(encoding="utf-8")).body)) - {name}


IMPORTS = {name: imported(name, path) for name, path in MODULES.items()}


def floor(name):
    parts = name.split(".")[1:]
    key = parts[0] if parts else ""
    if key == "kernels" and len(parts) > 1:
        key = "kernels.*"
    found = [i for i, names in enumerate(FLOORS) if key in names]
    assert found, f"{name} has no floor: give {key} its place in FLOORS"
    return found[0]


def test_a_fresh_import_loads_nothing_heavy():
    code = "import sys, json, npgan; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    up = sorted(other for other in IMPORTS[name] if floor(other) > floor(name))
    assert not up, f"{name} imports {up}, which stand above it"


def test_no_cycles():
    # A module needs those that it imports, and the packages that they lie in.
    graph = {
        name: {part for other in found for part in (other, other.rpartition(".")[0]) if part != "npgan"} - {name}
        for name, found in IMPORTS.items()
    }
    # A package that imports its own modules is not a cycle: they are entered from it.
    for name in graph:
        graph[name] = {other for other in graph[name] if not name.startswith(f"{other}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_the_checker_of_gradients_needs_numpy_alone():
    allowed = {"npgan.errors", "npgan.gradcheck"}
    for name, found in IMPORTS.items():
        if name.startswith("npgan.gradcheck"):
            assert all(any(other.startswith(a) for a in allowed) for other in found), name


# Beside the fast kernels themselves: what compiles, and what they share. Only they import these.
COMPILING = {
    "npgan.backend.compile",
    "npgan.backend.entries",
    "npgan.kernels.atomic",
    "npgan.kernels.conv.block",
    "npgan.kernels.conv.outer",
    "npgan.kernels.conv.scatter",
    "npgan.kernels.conv.separable",
    "npgan.kernels.conv.square",
    "npgan.kernels.product",
    "npgan.kernels.transpose",
    "npgan.kernels.vectors",
}


def test_heavy_libraries_are_imported_at_the_head_of_fast_kernels_only():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        heads = {a.name.split(".")[0] for n in tree.body if isinstance(n, ast.Import) for a in n.names}
        heads |= {(n.module or "").split(".")[0] for n in tree.body if isinstance(n, ast.ImportFrom)}
        fast = name in COMPILING or name.endswith((".cpu", ".gpu"))
        above = name.split(".")[1:2] in (["cli"], ["lab"])
        assert not heads & (HEAVY - ({"numba", "cupy"} if fast else set()) - ({"typer", "rich"} if above else set())), (
            name
        )


def importable():
    return [m.name for m in pkgutil.walk_packages([str(ROOT)], "npgan.") if not m.name.endswith((".gpu", "__main__"))]


@pytest.mark.parametrize("name", ["npgan", *importable()])
def test_everything_public_is_described(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{key} has no docstring"


def test_the_names_in_the_readme_are_there_after_import_npgan():
    names = sorted(
        set(re.findall(r"\bnpgan(?:\.[A-Za-z]\w*)+(?=[`(])", (ROOT.parent / "README.md").read_text(encoding="utf-8")))
    )
    assert {"npgan.train", "npgan.penalties.Penalized", "npgan.study"} <= set(names)
    code = f"import npgan; [{', '.join(names)}]"  # a process of its own, where nobody has imported npgan's packages
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_exists():
    for name in importable():
        module = importlib.import_module(name)
        for key in getattr(module, "__all__", ()):
            assert hasattr(module, key), f"{name}.__all__ has {key}"
    for key in npgan.__all__:
        assert getattr(npgan, key) is not None
