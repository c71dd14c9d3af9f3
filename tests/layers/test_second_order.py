"""Every layer has R-maps, and they hold together in networks like those that are trained."""

import inspect

import pytest

import npgan.layers
from npgan.layers import (
    ELU,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Dropout2d,
    Embedding,
    Flatten,
    GlobalAvgPool2d,
    LayerNorm,
    LeakyReLU,
    MaxPool2d,
    Parallel,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    Skip,
    Softmax,
    Softplus,
    Tanh,
    Upsample2d,
)
from npgan.layers.base import Layer
from npgan.layers.containers import Container


def kinds_of(kind):
    """Return every concrete layer of the package, with those that only containers make."""
    found = {kind} if not inspect.isabstract(kind) and kind.__module__.startswith("npgan.") else set()
    return found.union(*(kinds_of(each) for each in kind.__subclasses__()))


KINDS = sorted(kinds_of(Layer), key=lambda kind: kind.__name__)


def test_every_public_layer_is_looked_at():
    exported = [getattr(npgan.layers, name) for name in npgan.layers.__all__]
    public = {each for each in exported if inspect.isclass(each) and issubclass(each, Layer)}
    assert {each for each in public if not inspect.isabstract(each)} <= set(KINDS)
    assert len(KINDS) > 30


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not issubclass(kind, Container)])
def test_it_has_rmaps(kind):
    assert kind.second_order
    assert kind.rforward is not Layer.rforward
    assert kind.rbackward is not Layer.rbackward


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Container)])
def test_a_container_has_those_of_its_parts(kind):
    assert kind.lower is not Layer.lower
    for maps in ("forward", "backward", "rforward", "rbackward"):
        assert getattr(kind, maps) in (getattr(Layer, maps), getattr(Container, maps))


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Dense(5), BatchNorm(eps=0.1), Tanh(), Dense(4), LayerNorm(), Softplus(), Dense(1)], (3,)),
        ([Conv2d(3, 3, padding=1), LeakyReLU(), Conv2d(4, 2, stride=2), BatchNorm(), Sigmoid(), Flatten()], (4, 4, 2)),
        ([Dense(16), Reshape((2, 2, 4)), BatchNorm(), ReLU(), ConvTranspose2d(2, 2, stride=2), Tanh()], (3,)),
        ([PixelUnshuffle(2), Residual([Conv2d(8, 1), ELU()]), PixelShuffle(2), Skip(Conv2d(1, 1))], (2, 4, 2)),
        ([Upsample2d(2, "bilinear"), Dropout2d(0.3), MaxPool2d(2), Tanh(), GlobalAvgPool2d(), Softmax()], (3, 2, 3)),
        ([Parallel([[Dense(3), Tanh()], [Dropout(0.3)], [Softmax()]]), LayerNorm(), Dense(2)], (4,)),
    ],
    ids=["mlp", "critic", "generator", "shuffle", "pool", "parallel"],
)
def test_networks(layers, shape, train, check_rmaps):
    check_rmaps(layers, shape, train=train, seed=2)  # whose kinks are further off than the differences step


def test_a_network_of_labels(check_rmaps):
    check_rmaps([Embedding(4, 3), BatchNorm(), Tanh(), Dense(2), Softmax()], (2,), labels=4)
