"""Every public layer with its settings: what the gradient checks and the contract tests run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npgan.layers import Layer


@dataclass(frozen=True)
class Case:
    """One layer with its settings, on samples of one shape.

    Attributes
    ----------
    layer : Layer
    shape : tuple of int
        Of one sample.
    labels, condition_labels : int or None
        The input, the condition are labels below this.
    condition_shape : tuple of int or None
        Of one sample's condition, where the layer reads one.
    least_batch : int
        What training needs.
    both_modes : bool
        It does one thing in training, another out of it.
    """

    layer: Layer
    shape: tuple[int, ...]
    labels: int | None = None
    condition_labels: int | None = None
    condition_shape: tuple[int, ...] | None = None
    least_batch: int = 1
    both_modes: bool = False


def _cases(layers: list[Layer], shape: tuple[int, ...], **options: Any) -> list[Case]:
    return [Case(layer, shape, **options) for layer in layers]


@lru_cache(maxsize=1)
def layer_cases() -> dict[type[Layer], list[Case]]:
    """Return the cases of every public layer, by its class."""
    from npgan.layers import (
        ELU,
        AvgPool2d,
        BatchNorm,
        ConcatCondition,
        Conv2d,
        ConvTranspose2d,
        Dense,
        Dropout,
        Dropout2d,
        Embedding,
        Flatten,
        GlobalAvgPool2d,
        GlobalMaxPool2d,
        InstanceNorm,
        LayerNorm,
        LeakyReLU,
        MaxPool2d,
        Normal,
        Parallel,
        PixelShuffle,
        PixelUnshuffle,
        ReLU,
        Reshape,
        Residual,
        Sequential,
        Sigmoid,
        Skip,
        Softmax,
        Softplus,
        Tanh,
        Upsample2d,
    )

    return {
        # dense
        Dense: [Case(Dense(4), (3,)), Case(Dense(2, bias=False), (3, 2, 5)), Case(Dense(130), (70,))],
        # images
        Conv2d: [
            Case(Conv2d(3, 3), (6, 7, 2)),
            Case(Conv2d(2, (2, 3), stride=(2, 1), padding=((1, 0), (2, 1)), dilation=(2, 1)), (6, 7, 2)),
            Case(Conv2d(4, 4, stride=2, padding=1, bias=False), (6, 7, 2)),
            Case(Conv2d(2, 3, stride=2, padding="same"), (6, 7, 2)),
            Case(Conv2d(5, 1), (6, 7, 2)),
            Case(Conv2d(3, 4), (4, 4, 2)),
        ],
        ConvTranspose2d: [
            Case(ConvTranspose2d(3, 4, stride=2, padding=1), (3, 4, 2)),
            Case(ConvTranspose2d(2, 3, stride=2, padding=1, output_padding=1, bias=False), (3, 4, 2)),
            Case(ConvTranspose2d(2, (2, 3), stride=(1, 2), dilation=(2, 1)), (3, 4, 2)),
            Case(ConvTranspose2d(2, 3, stride=2, padding="same"), (3, 4, 2)),
            Case(ConvTranspose2d(2, 1, padding=1), (3, 3, 1)),
        ],
        Upsample2d: _cases([Upsample2d(2), Upsample2d((3, 2), "bilinear")], (3, 4, 2)),
        AvgPool2d: [*_cases([AvgPool2d(2), AvgPool2d(3, 2, 1)], (5, 6, 2)), Case(AvgPool2d(3), (3, 4, 1))],
        MaxPool2d: [*_cases([MaxPool2d(2), MaxPool2d((3, 2), 2, 1)], (5, 6, 2)), Case(MaxPool2d(3), (3, 4, 1))],
        GlobalAvgPool2d: _cases([GlobalAvgPool2d()], (3, 4, 2)),
        GlobalMaxPool2d: _cases([GlobalMaxPool2d()], (3, 4, 2)),
        PixelShuffle: _cases([PixelShuffle(2)], (2, 3, 8)),
        PixelUnshuffle: _cases([PixelUnshuffle(2)], (4, 6, 2)),
        # activations
        ReLU: _cases([ReLU()], (5, 2)),
        LeakyReLU: _cases([LeakyReLU(), LeakyReLU(0.0)], (11,)),
        ELU: _cases([ELU(), ELU(0.7)], (11,)),
        Softplus: _cases([Softplus()], (11,)),
        Tanh: _cases([Tanh()], (11,)),
        Sigmoid: _cases([Sigmoid()], (11,)),
        Softmax: [Case(Softmax(), (5,)), Case(Softmax(), (2, 3, 4))],
        # normalisation
        BatchNorm: [
            Case(BatchNorm(), (4,), least_batch=2, both_modes=True),
            Case(BatchNorm(0.3, 1e-3, gain_init=Normal(0.1, mean=1.0)), (3, 2, 2), both_modes=True),
            Case(BatchNorm(affine=False), (3, 4), both_modes=True),
        ],
        LayerNorm: [
            Case(LayerNorm(), (6,)),
            Case(LayerNorm(1), (3, 4)),
            Case(LayerNorm(affine=False), (2, 3, 2)),
        ],
        InstanceNorm: [Case(InstanceNorm(affine=True), (3, 2, 2)), Case(InstanceNorm(), (5, 2))],
        Dropout: _cases([Dropout(0.4), Dropout(0.0)], (4, 3), both_modes=True),
        Dropout2d: [Case(Dropout2d(0.4), (3, 2, 4), both_modes=True)],
        Embedding: _cases([Embedding(5, 3)], (2,), labels=5),
        # containers
        Sequential: _cases([Sequential([Dense(3), Tanh()]), Sequential([])], (4,)),
        Residual: [
            Case(Residual([Dense(4), Softplus()]), (4,)),
            Case(Residual(Dense(2), Dense(2, bias=False)), (4,)),
        ],
        Skip: [Case(Skip([Conv2d(3, 3, padding=1), Tanh()]), (3, 3, 2)), Case(Skip(Conv2d(2, 1)), (2, 3, 1))],
        Parallel: [
            Case(Parallel([Dense(2), [], [Tanh()]]), (3,)),
            Case(Parallel([Dense(3), Softplus(), Dense(3)], join="add"), (3,)),
            Case(Parallel([Dense(2)]), (3,)),
        ],
        ConcatCondition: [
            Case(ConcatCondition(), (3,), condition_shape=(2,)),
            Case(ConcatCondition(), (3, 2, 2), condition_shape=(3, 2, 1)),
            Case(ConcatCondition([Dense(2)]), (2, 3, 1), condition_shape=(3,)),
            Case(ConcatCondition(Embedding(4, 2)), (2, 2, 1), condition_labels=4),
        ],
        Flatten: _cases([Flatten()], (3, 2, 2)),
        Reshape: _cases([Reshape((2, 6))], (3, 4)),
    }


def public_layers() -> list[type[Layer]]:
    """Return every concrete layer that npgan.layers exports."""
    import inspect

    import npgan.layers

    exported = [getattr(npgan.layers, name) for name in npgan.layers.__all__]
    return [
        kind
        for kind in exported
        if inspect.isclass(kind) and issubclass(kind, npgan.layers.Layer) and not inspect.isabstract(kind)
    ]
