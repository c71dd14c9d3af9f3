"""Layers: parameters and the derivative maps. Public names are here; a layer is one class in one file of its kind."""

from npgan.layers.activations import LeakyReLU
from npgan.layers.base import Frame, Initializer, Join, Layer, Parameter, Plan, Spec, State
from npgan.layers.containers import ConcatCondition, Parallel, Residual, Sequential, Skip
from npgan.layers.dense import Dense
from npgan.layers.initializers import INITIALIZERS, Constant, He, Normal, Ones, Orthogonal, Xavier, Zeros
from npgan.layers.reshape import Flatten, Reshape

__all__ = [
    "INITIALIZERS",
    "ConcatCondition",
    "Constant",
    "Dense",
    "Flatten",
    "Frame",
    "He",
    "Initializer",
    "Join",
    "Layer",
    "LeakyReLU",
    "Normal",
    "Ones",
    "Orthogonal",
    "Parallel",
    "Parameter",
    "Plan",
    "Reshape",
    "Residual",
    "Sequential",
    "Skip",
    "Spec",
    "State",
    "Xavier",
    "Zeros",
]
