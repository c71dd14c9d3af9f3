"""What tests of layers share: the R-maps against derivatives that know nothing of them."""

import warnings
from itertools import product

import numpy as np
import pytest

from npgan.network import Network

NAMES = ("ry", "rdx", "rdtheta")
# Which of x, theta and dy move.
ALONE_AND_TOGETHER = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


class Problem:
    """Layers at a point (x, theta, dy), with a direction (rx, rtheta, rdy); x are labels where `labels` says so."""

    def __init__(self, layers, shape, *, batch=3, train=True, labels=None, seed=0):
        self.layers, self.shape, self.train, self.labels = layers, shape, train, labels
        network = self._plain("cpu", "float64")
        draw = np.random.default_rng(seed)
        x = (batch, *shape)
        self.theta = network.theta + 0.5 * draw.normal(size=network.size)
        self.state = draw.uniform(0.5, 1.5, network.state.shape)
        self.x = draw.integers(0, labels, x) if labels else draw.normal(size=x)
        self.rx = None if labels else draw.normal(size=x)
        self.rtheta = draw.normal(size=network.size)
        self.dy, self.rdy = draw.normal(size=(2, batch, *network.output_shape))

    def _plain(self, backend, dtype):
        dtype_of_x = "int64" if self.labels else "float"
        return Network(self.layers, self.shape, input_dtype=dtype_of_x, backend=backend, dtype=dtype)

    def planned(self, backend="cpu", dtype="float64", order=2, theta=0.0):
        """Return a Pass at the point, its weights moved by `theta`."""
        network = self._plain(backend, dtype)
        network.load((self.theta + theta).astype(dtype), self.state.astype(dtype))
        return network.new_pass(len(self.x), train=self.train, order=order)

    def moved(self, t, move, backend="cpu", dtype="float64"):
        """Return y, dx and dtheta at the point plus t times the direction."""
        dx, dtheta, ddy = (t * flag for flag in move)
        p = self.planned(backend, dtype, order=1, theta=dtheta * self.rtheta)
        y = p.forward(self.x if self.labels else (self.x + dx * self.rx).astype(dtype), step=1, update_stats=False)
        gradient, y = np.empty_like(p.network.theta), y.copy()
        found = p.backward((self.dy + ddy * self.rdy).astype(dtype), dtheta=gradient, dx=not self.labels)
        return y, None if found is None else found.copy(), gradient

    def rmaps(self, move=(1, 1, 1), backend="cpu", dtype="float64", *, zeros=False, add_to=None, fill=None):
        """Return ry, rdx and rdtheta; what does not move is given as None, or as zeros."""
        p = self.planned(backend, dtype)
        given = [
            a if a is None else a.astype(dtype) if flag else np.zeros_like(a, dtype) if zeros else None
            for a, flag in zip((self.rx, self.rtheta, self.rdy), move, strict=True)
        ]
        x, dy = (self.x if self.labels else self.x.astype(dtype)), self.dy.astype(dtype)
        arrays = [a for a in (x, dy, *given) if a is not None]
        before = [a.copy() for a in arrays]
        gradient = np.full_like(p.network.theta, np.nan) if add_to is None else add_to.astype(dtype)
        p.forward(x, step=1, update_stats=False)
        if fill is not None:
            p.arena.region[...] = fill
            p.forward(x, step=1, update_stats=False)
        p.backward(dy, dtheta=np.empty_like(gradient), dx=not self.labels)
        ry = p.rforward(given[0], rtheta=given[1]).copy()
        rdx = p.rbackward(given[2], rdtheta=gradient, accumulate=add_to is not None, rdx=not self.labels)
        for a, copy in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(a, copy)
        return ry, None if rdx is None else rdx.copy(), gradient

    def directions(self):
        return [move for move in ALONE_AND_TOGETHER if not (self.labels and move == (1, 0, 0))]


def close(found, expected, tolerance, what):
    for name, a, b in zip(NAMES, found, expected, strict=True):
        assert (a is None) == (b is None), (what, name)
        if a is not None:
            scale = 1 + np.abs(b).max(initial=0)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=f"{name}, {what}")


def dot(a, b):
    """Return the product of two lists of arrays, and the sum of its terms' sizes."""
    pairs = [(u, v) for u, v in zip(a, b, strict=True) if u is not None and v is not None]
    return sum(float((u * v).sum()) for u, v in pairs), 1 + sum(float(np.abs(u * v).sum()) for u, v in pairs)


def check_derivatives(problem):
    """The complex step of forward and backward, by the references, and central differences of the compiled ones."""
    h = 1e-20
    for move in problem.directions():
        stepped = problem.moved(1j * h, move, "reference", "complex128")
        exact = [None if a is None else a.imag / h for a in stepped]
        for backend in ("reference", "cpu"):
            found = problem.rmaps(move, backend)
            close(found, exact, 1e-13, f"complex step of {move} on {backend}")

        def slope(t, move=move):
            ahead, behind = (problem.moved(s, move) for s in (t, -t))
            return [None if a is None else (a - b) / (2 * t) for a, b in zip(ahead, behind, strict=True)]

        wide, narrow = slope(1e-3), slope(5e-4)  # extrapolated: the error is of the fourth order
        extrapolated = [None if a is None else (4 * a - b) / 3 for a, b in zip(narrow, wide, strict=True)]
        close(found, extrapolated, 1e-8, f"differences of {move}")


def check_identities(problem):
    """<dy, ry> = <dx, rx> + <dtheta, rtheta>, and the Hessian of <dy, y> is symmetric."""
    _, dx, dtheta = problem.moved(0.0, (0, 0, 0))
    ry, *product_of_first = problem.rmaps((1, 1, 0))
    left, right = dot([problem.dy], [ry]), dot([dx, dtheta], [problem.rx, problem.rtheta])
    assert abs(left[0] - right[0]) < 1e-14 * (left[1] + right[1])
    first = problem.rx, problem.rtheta
    draw = np.random.default_rng(99)
    second = [None if a is None else draw.normal(size=a.shape) for a in first]
    problem.rx, problem.rtheta = second
    product_of_second = problem.rmaps((1, 1, 0))[1:]
    problem.rx, problem.rtheta = first
    left, right = dot(product_of_first, second), dot(product_of_second, first)
    assert abs(left[0] - right[0]) < 1e-14 * (left[1] + right[1])


def check_contract(problem):
    """Zeros are None, accumulating adds, every element is written, and float32 stays float32."""
    for backend in ("cpu", "reference"):
        for move in product((0, 1), repeat=3):
            close(
                problem.rmaps(move, backend), problem.rmaps(move, backend, zeros=True), 1e-14, f"None for 0 in {move}"
            )
        expected = problem.rmaps(backend=backend)
        for fill in (0xFF, 0x3F):  # NaN; and 4.8e-4, which would only be added
            for a, b in zip(problem.rmaps(backend=backend, fill=fill), expected, strict=True):
                assert np.array_equal(a, b) or a is b is None
        add_to = np.random.default_rng(7).normal(size=problem.theta.shape)
        for move in problem.directions():
            overwritten = problem.rmaps(move, backend)
            added = problem.rmaps(move, backend, add_to=add_to)
            close(added, [*overwritten[:2], add_to + overwritten[2]], 1e-15, f"accumulate {move}")
        narrow = problem.rmaps(backend=backend, dtype="float32")
        assert all(a is None or a.dtype == np.float32 for a in narrow)
        close(narrow, expected, 1e-5, "float32")


@pytest.fixture
def check_rmaps():
    """Return ``check(layers, shape, batch=3, train=True, labels=None)``, which raises where an R-map is wrong."""

    def check(layers, shape, **options):
        problem = Problem(layers, shape, **options)
        check_derivatives(problem)
        check_identities(problem)
        check_contract(problem)

    return check


@pytest.fixture
def torch_rmaps():
    """Return ``rmaps(f, primals, tangents, dy, rdy)``: ry and the R-derivatives of f's gradients, by PyTorch."""
    torch = pytest.importorskip("torch")

    def rmaps(f, primals, tangents, dy, rdy):
        def forward_and_backward(dy, *primals):
            y, pullback = torch.func.vjp(f, *primals)
            return y, *pullback(dy)

        at = tuple(torch.tensor(np.ascontiguousarray(a)) for a in (dy, *primals))
        along = tuple(torch.tensor(np.ascontiguousarray(a)) for a in (rdy, *tangents))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch's own, about its own jit
            return [a.numpy() for a in torch.func.jvp(forward_and_backward, at, along)[1]]

    return rmaps
