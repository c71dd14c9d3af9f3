"""A layer of your own, with its gradient check.

    python examples/own_layer.py

Swish (Ramachandran, Zoph and Le 2017) with a slope that is learned for each channel:

    y = x s,   s = sigmoid(b x),   x (N, ..., C), b (C,)

By the product rule and s' = s (1 - s):

    dx = dy (s + b x s (1 - s))
    db = sum over all but the channel of  dy x² s (1 - s)

A layer says in `plan` what arrays it needs, and its maps write into the arrays that they find in the frame `f`.
They allocate here, for the sake of reading; a layer that is to be fast asks for scratch memory instead.
"""

import numpy as np

from npgan import Network, gradcheck
from npgan.gradcheck import GradientError
from npgan.layers import Dense, Layer, Ones, Parameter, Plan


class Swish(Layer):
    """y = x sigmoid(b x)."""

    def plan(self, x, k):
        return Plan(
            y=x,  # the output looks like the input
            parameters={"slope": Parameter(x.shape[-1:], Ones())},
            keeps={"x"},  # backward reads x, so its memory must not be reused before
        )

    def forward(self, f):
        f.y[...] = f.x * sigmoid(f.w["slope"] * f.x)

    def backward(self, f):
        b = f.w["slope"]
        s = sigmoid(b * f.x)
        if f.dx is not None:  # None: nobody wants it
            f.dx[...] = f.dy * (s + b * f.x * s * (1.0 - s))
        if f.dw is not None:
            db = (f.dy * f.x**2 * s * (1.0 - s)).reshape(-1, b.size).sum(axis=0)
            if f.accumulate:
                f.dw["slope"] += db
            else:
                f.dw["slope"][...] = db


def sigmoid(t):
    return 0.5 * (1.0 + np.tanh(0.5 * t))


class Wrong(Swish):
    """The same with a term of dx forgotten."""

    def backward(self, f):
        super().backward(f)
        if f.dx is not None:
            f.dx[...] = f.dy * sigmoid(f.w["slope"] * f.x)


if __name__ == "__main__":
    # One line, which also makes a good test: it raises where anything is off.
    print(gradcheck.check(Swish(), (5,)))
    print(gradcheck.check([Dense(8), Swish(), Dense(2)], (3,)))

    try:
        gradcheck.check(Wrong(), (5,))
    except GradientError as error:
        print(f"\nand this is how a mistake looks:\n{error}")
    else:
        raise SystemExit("the check let a wrong derivative pass")

    # It is a layer like any other now.
    network = Network([Dense(16), Swish(), Dense(1)], input_shape=(2,), seed=0)
    print(f"\n{network.summary()}")
    print(network(np.array([[0.5, -1.0]], "float32")))
