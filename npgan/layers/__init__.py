"""Layers: parameters and the derivative maps. Public names are here; a layer is one class in a file of its kind."""

from npgan.layers.activations import ELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from npgan.layers.base import Frame, Initializer, Join, Layer, Parameter, Plan, Spec, State
from npgan.layers.containers import ConcatCondition, Parallel, Residual, Sequential, Skip
from npgan.layers.conv import Conv2d, ConvTranspose2d
from npgan.layers.dense import Dense
from npgan.layers.dropout import Dropout, Dropout2d
from npgan.layers.embedding import Embedding
from npgan.layers.initializers import INITIALIZERS, Constant, He, Normal, Ones, Orthogonal, Xavier, Zeros
from npgan.layers.normalization import BatchNorm, InstanceNorm, LayerNorm
from npgan.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle
from npgan.layers.pool import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from npgan.layers.reshape import Flatten, Reshape
from npgan.layers.softmax import Softmax
from npgan.layers.upsample import Upsample2d

__all__ = [
    "ELU",
    "INITIALIZERS",
    "AvgPool2d",
    "BatchNorm",
    "ConcatCondition",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "Frame",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "He",
    "Initializer",
    "InstanceNorm",
    "Join",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2d",
    "Normal",
    "Ones",
    "Orthogonal",
    "Parallel",
    "Parameter",
    "PixelShuffle",
    "PixelUnshuffle",
    "Plan",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Skip",
    "Softmax",
    "Softplus",
    "Spec",
    "State",
    "Tanh",
    "Upsample2d",
    "Xavier",
    "Zeros",
]
