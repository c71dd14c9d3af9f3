"""What is asked of cuDNN: a stand-in with the names of its frontend takes the graphs, and computes them in NumPy."""

import ctypes
import enum
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.backend import get_backend
from npgan.errors import BackendError, ConfigError
from npgan.kernels.after import After
from npgan.kernels.conv import gpu, gpu_choice, gpu_cudnn, reference
from npgan.layers import Conv2d
from npgan.network import Network

ORDER = ["validate", "build_operation_graph", "create_execution_plans", "deselect_numeric_notes", "check_support"]


class Notes(enum.Enum):
    NONDETERMINISTIC, DOWN_CONVERT_INPUTS, REDUCED_PRECISION_REDUCTION, TENSOR_CORE = range(4)


class Refused(Exception):  # noqa: N818
    """As cudnn.cudnnGraphNotSupportedError."""


class Tensor:
    def __init__(self, dim=None, stride=None, uid=None):
        self.dim, self.stride, self.uid, self.output = dim, stride, uid, False

    def set_output(self, value):
        self.output = value
        return self

    def set_dim(self, dim):
        self.dim = dim
        return self

    def set_stride(self, stride):
        self.stride = stride
        return self

    def set_uid(self, uid):
        self.uid = uid
        return self

    def at(self, address):
        """Return the memory at an address as this tensor lies in it."""
        assert address % 16 == 0, "cuDNN's fast kernels want aligned arrays"
        assert self.stride[1] == 1, "channels last"
        assert self.dim[1] % 4 == 0
        elements = 1 + sum((n - 1) * s for n, s in zip(self.dim, self.stride, strict=True))
        flat = np.ctypeslib.as_array((ctypes.c_float * elements).from_address(address))
        return np.lib.stride_tricks.as_strided(flat, self.dim, [4 * s for s in self.stride])


class Graph:
    made = []  # noqa: RUF012
    refuses = ()

    def __init__(self, name, io_data_type, intermediate_data_type, compute_data_type, handle):
        assert (io_data_type, intermediate_data_type, compute_data_type, handle) == (*["FLOAT"] * 3, "handle")
        self.steps, self.operation = [], None
        Graph.made.append(self)

    def tensor(self, dim, stride, *, name, uid):
        return Tensor(dim, stride, uid)

    def _convolution(self, kind, a, b, pre_padding, post_padding, stride, dilation):
        for pair in (pre_padding, post_padding, stride, dilation):
            assert type(pair) is list
            assert len(pair) == 2
        self.a, self.b, self.out = a, b, Tensor()
        self.operation = kind, pre_padding, post_padding, tuple(stride), tuple(dilation)
        return self.out

    def conv_fprop(self, *, image, weight, **geometry):
        return self._convolution("forward", image, weight, **geometry)

    def conv_dgrad(self, *, loss, filter, **geometry):
        return self._convolution("backward_input", loss, filter, **geometry)

    def conv_wgrad(self, *, image, loss, **geometry):
        return self._convolution("backward_weight", image, loss, **geometry)

    def __getattr__(self, name):
        if name not in (*ORDER, "build_plans"):
            raise AttributeError(name)

        def step(*args):
            self.steps.append((name, args))
            if name == "check_support" and self.operation[0] in Graph.refuses:
                raise Refused("no engine")

        return step

    def get_workspace_size(self):
        return 1000

    def execute(self, pointers, workspace, handle):
        assert handle == "handle"
        assert set(pointers) == {1, 2, 3}
        assert all(type(each) is int for each in (*pointers.values(), workspace))
        assert [name for name, _ in self.steps] == [*ORDER, "build_plans"]
        assert workspace % 128 == 0
        ctypes.memset(workspace, 0xFF, 1000)  # NaN: the guards of the emulator see what is beyond the scratch
        kind, pre, post, stride, dilation = self.operation
        a, b, out = self.a.at(pointers[1]), self.b.at(pointers[2]), self.out.at(pointers[3])
        assert self.out.output
        padding = tuple(zip(pre, post, strict=True))

        def images(t):
            return t.transpose(0, 2, 3, 1)

        def weight(t):
            return t.transpose(2, 3, 1, 0)

        if kind == "forward":
            reference.forward(images(out), None, images(a), weight(b), stride, padding, dilation)
        elif kind == "backward_input":
            reference.backward_input(images(out), None, images(a), weight(b), stride, padding, dilation)
        else:
            made = np.empty(weight(out).shape, np.float32)
            reference.backward_weight(made, None, images(b).copy(), images(a), stride, padding, dilation, False)
            weight(out)[...] = made


@pytest.fixture
def cudnn(cupy, monkeypatch):
    if not getattr(cupy, "EMULATOR", False):
        pytest.skip("the stand-in computes on the host, where a device's arrays are not")
    module = ModuleType("cudnn")
    module.streams = []
    module.numerical_note, module.cudnnGraphNotSupportedError, module.pygraph = Notes, Refused, Graph
    module.data_type = type("data_type", (), {"FLOAT": "FLOAT"})
    module.heur_mode = type("heur_mode", (), {"A": "A", "FALLBACK": "FALLBACK"})
    module.backend_version, module.create_handle = lambda: 92800, lambda: "handle"
    module.set_stream = lambda handle, stream: module.streams.append((handle, stream))
    monkeypatch.setitem(sys.modules, "cudnn", module)
    monkeypatch.setattr(Graph, "refuses", ())
    Graph.made.clear()
    gpu_cudnn.forget()
    yield module
    gpu_cudnn.forget()


HALF = ((2, 2), ((1, 1), (1, 1)), (1, 1))


class Problem:
    def __init__(self, n, size, channels, kernel, options, seed=0):
        draw = np.random.default_rng(seed)
        axes = zip(size, kernel, *options, strict=True)
        oh, ow = ((h + sum(p) - d * (k - 1) - 1) // s + 1 for h, k, s, p, d in axes)
        self.options = options
        shapes = (n, *size, channels[0]), (*kernel, *channels), (n, oh, ow, channels[1]), channels[1], channels[0]
        self.x, self.w, self.dy, self.b, self.c = (draw.normal(size=shape).astype(np.float32) for shape in shapes)
        self.shapes = shapes[:3]

    def all(self, module, xp=np, **how):
        """Return y, dx and dw, the first two with a bias and an activation, dw added to ones."""
        x, w, dy, b, c = map(xp.asarray, (self.x, self.w, self.dy, self.b, self.c))
        scratch = xp.full(module.workspace(*self.shapes, *self.options, **how), np.nan, np.float32)
        y, dx, dw = xp.full_like(dy, np.nan), xp.full_like(x, np.nan), xp.ones_like(w)
        module.forward(y, scratch, x, w, *self.options, After(b, 0.2), **how)
        module.backward_input(dx, scratch, dy, w, *self.options, After(c), **how)
        module.backward_weight(dw, scratch, dy, x, *self.options, True, **how)
        return [np.asarray(a.get() if xp is not np else a) for a in (y, dx, dw)]

    def check(self, cupy, **how):
        for found, expected in zip(self.all(gpu, cupy, **how), self.all(reference), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@given(data=st.data())
@settings(max_examples=15, suppress_health_check=["function_scoped_fixture"])
def test_graphs_are_the_convolution(cupy, cudnn, data):
    def pair(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, dilation, padding = pair(1, 4), pair(1, 3), pair(1, 3), (pair(0, 3), pair(0, 3))
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + m for k, d, p, m in zip(kernel, dilation, padding, pair(0, 6), strict=True)
    )
    channels = data.draw(st.tuples(st.sampled_from([8, 12, 20]), st.sampled_from([8, 16])))
    Graph.made.clear()
    gpu_cudnn.forget()
    problem = Problem(data.draw(st.integers(1, 3)), size, channels, kernel, (stride, padding, dilation))
    problem.check(cupy, compute="tf32", conv="auto")
    assert len(Graph.made) == 3


def test_a_plan_is_made_once_and_gives_the_same_bits_every_time(cupy, cudnn):
    problem = Problem(2, (6, 6), (8, 8), (4, 4), HALF)
    for _ in range(3):
        problem.check(cupy, compute="tf32", conv="cudnn")
    assert [graph.operation[0] for graph in Graph.made] == ["forward", "backward_input", "backward_weight"]
    for graph in Graph.made:
        steps = dict(graph.steps)
        assert steps["create_execution_plans"] == (["A", "FALLBACK"],)
        assert Notes.NONDETERMINISTIC in steps["deselect_numeric_notes"][0]
        assert Notes.TENSOR_CORE not in steps["deselect_numeric_notes"][0]
    assert set(cudnn.streams) == {("handle", cupy.cuda.get_current_stream().ptr)}


def test_what_cudnn_refuses_is_done_by_npgan(cupy, cudnn, monkeypatch):
    monkeypatch.setattr(Graph, "refuses", ("backward_input",))
    problem = Problem(2, (6, 6), (8, 8), (4, 4), HALF)
    found = problem.all(gpu, cupy, compute="tf32", conv="auto")
    own = problem.all(gpu, cupy, compute="tf32", conv="own")
    assert (found[1] == own[1]).all()
    assert (found[0] != own[0]).any()  # the stand-in does not round
    picked = gpu_choice.choose(*problem.shapes, HALF, "tf32", "auto")
    assert picked.name == "cuDNN and implicit product, tf32"
    assert "no such kernel for data" in picked.reason


@pytest.mark.parametrize(
    ("compute", "conv", "channels", "why"),
    [
        ("float32", "auto", (8, 8), "this is float32"),
        ("bf16", "cudnn", (8, 8), "this is bf16"),
        ("tf32", "own", (8, 8), "asked for"),
        ("tf32", "auto", (3, 8), "multiples of 4"),
        ("tf32", "auto", (8, 4), "multiples of 4"),
    ],
)
def test_where_it_is_not_used(cupy, cudnn, compute, conv, channels, why):
    problem = Problem(1, (6, 6), channels, (4, 4), HALF)
    problem.all(gpu, cupy, compute=compute, conv=conv)
    assert not Graph.made
    assert why in gpu_choice.choose(*problem.shapes, HALF, compute, conv).reason


def test_the_choice_says_so(cudnn):
    picked = gpu_choice.choose(*Problem(1, (6, 6), (8, 8), (4, 4), HALF).shapes, HALF, "tf32", "auto")
    assert picked.name == "cuDNN, tf32"


def test_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", None)
    gpu_cudnn.forget()
    shapes = Problem(1, (6, 6), (8, 8), (4, 4), HALF).shapes
    assert "nvidia-cudnn-frontend is not there" in gpu_choice.choose(*shapes, HALF, "tf32", "auto").reason
    with pytest.raises(BackendError, match=r"npgan\[gpu-cuda13\]"):
        gpu.workspace(*shapes, *HALF, compute="tf32", conv="cudnn")
    gpu_cudnn.forget()


def test_a_layer_gets_what_the_environment_says(cupy, cudnn, monkeypatch):
    for setting, used in (("own", False), ("auto", True)):
        monkeypatch.setenv("NPGAN_CONV", setting)
        backend = get_backend("gpu:tf32")
        assert backend.describe()["conv"] == setting
        network = Network([Conv2d(8, 4, stride=2, padding=1)], (6, 6, 8), dtype="float32", backend=backend)
        network(backend.asarray(np.ones((2, 6, 6, 8), np.float32)))
        assert bool(Graph.made) == used
    monkeypatch.setenv("NPGAN_CONV", "theirs")
    with pytest.raises(ConfigError, match="NPGAN_CONV is 'theirs'"):
        get_backend("gpu")


@pytest.mark.parametrize("which", gpu_choice.MAPS)
def test_the_frontend_itself_takes_the_graph(which):
    cudnn = pytest.importorskip("cudnn", reason="nvidia-cudnn-frontend is not installed")
    float32 = cudnn.data_type.FLOAT
    graph = cudnn.pygraph(io_data_type=float32, intermediate_data_type=float32, compute_data_type=float32)
    shapes = (2, 9, 8, 8), (4, 4, 8, 12), (2, 4, 4, 12)
    gpu_cudnn._describe(graph, which, *shapes, *HALF)
    assert {tensor.uid for tensor in graph.tensors.values()} == {1, 2, 3}
    (out,) = graph.get_outputs()
    sizes = {"FORWARD": [2, 12, 4, 4], "DATA": [2, 8, 9, 8], "WEIGHT": [12, 8, 4, 4]}
    assert out.get_dim() == sizes[which]
    assert out.get_stride()[1] == 1
    for name in ("validate", "build_plans", "deselect_numeric_notes", "check_support", "execute", "get_workspace_size"):
        assert hasattr(graph, name)
    assert hasattr(cudnn.numerical_note, "NONDETERMINISTIC")
