"""The checks of every derivative, of the GPU's kernels: they agree, and find faults planted into the CUDA sources."""

import pytest

from npgan.backend import cuda
from npgan.gradcheck.subjects import select
from npgan.gradcheck.suite import run

# One subject or two for each operation that has kernels of its own; `npgan gradcheck --backend gpu` runs all.
SAMPLE = ["Dense", "LeakyReLU", "ELU", "BatchNorm", "Softmax", "MaxPool2d", "Upsample2d", "hinge"]
FAULTS = [
    ("LeakyReLU", "dy *bend_slope(y, a)", "dy *(y > 0 ? 1 : 0)"),
    ("ELU", "(y > 0 ? 0 : y + a) * rx * dy", "(y > 0 ? 0 : y + a) * rx * dy * 1.001"),
    ("BatchNorm", "of_g -= of_rg * s * xhat_rx;", ""),
    ("Softmax", "y[at + i] * (rdy[at + i] - ra)", "y[at + i] * rdy[at + i]"),
    ("MaxPool2d", "if (argmax[at] == p.h * w + p.w)", "if (argmax[at] == p.h * w + p.w && p.h)"),
    ("hinge", "d = -option * step;", "d = -option;"),
    ("Dense", "return v[0] += g, g;", "return v[0] += 0.999 * g, g;"),
]


def failures(name):
    """Return what disagrees, on the device there is or the emulator."""
    found = [line for lines, _ in run(select([name]), backend="gpu") for line in lines]
    assert found
    return [failure for line in found for failure in line.failures()]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_agrees(cupy, name):
    assert not failures(name)


@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS)
def test_a_planted_fault_is_found(cupy, monkeypatch, name, right, wrong):
    original = cuda.source

    def planted(operation):
        text = original(operation)
        if right in text:
            met.append(operation)
        return text.replace(right, wrong)

    met = []
    monkeypatch.setattr(cuda, "source", planted)
    cuda.forget()
    try:
        assert failures(name)
    finally:
        cuda.forget()
    assert met
