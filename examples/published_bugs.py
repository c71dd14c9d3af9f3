"""Bugs that were published in GAN code, with numbers: each ran, trained something, and was wrong.

    python examples/published_bugs.py

1. A penalty's gradient that is right for ReLU critics only.
2. A gradient penalty with the norm over the whole batch.
3. The stale update: back-propagating through old activations after the weights have changed.
4. Optimistic mirror descent that aliases the gradient it should remember.
"""

import numpy as np

from npgan import Network
from npgan.errors import StalePassError
from npgan.layers import Dense, LeakyReLU, Tanh
from npgan.penalties import Penalized, get_penalty

N = 32
draw = np.random.default_rng(0)
POINTS = draw.normal(size=(N, 2))


def critic(activation):
    """Return a small critic, and the points to look at."""
    D = Network([Dense(32), activation, Dense(32), activation, Dense(1)], (2,), dtype="float64", seed=1, name="D")
    return D, POINTS


def relative(found, expected):
    """Return the relative error of a gradient, in per cent."""
    return 100 * np.linalg.norm(found - expected) / np.linalg.norm(expected)


print("1. R1's gradient without the second derivative of the activation")
# P = mean |dD/dx|^2 / 2. Some code goes back through the *backward* pass of the critic as if its masks were constants.
# That holds for leaky ReLU, whose slope does not change with x, and for nothing smooth.


def without_curvature(activation):
    """Return the layer with rdx = phi' rdy instead of phi' rdy + phi'' rx dy."""

    class Buggy(type(activation)):
        def rbackward(self, f):
            if f.rx is not None:
                f.rx[...] = 0
            super().rbackward(f)

    return Buggy()


for activation in (LeakyReLU(), Tanh()):
    gradients = []
    for layer in (activation, without_curvature(activation)):
        D = critic(layer)[0]
        gradients.append(np.empty(D.size))
        Penalized(get_penalty("r1", gamma=1.0), D, N).at(POINTS, gradients[-1])
    print(f"   {activation!r:<12} the gradient is off by {relative(gradients[1], gradients[0]):5.1f} %")


print("\n2. WGAN-GP with one norm for the whole batch")
D, x = critic(LeakyReLU())
p = D.new_pass(N)
p.forward(x)
g = p.backward(np.ones((N, 1)))
per_sample = np.sqrt((g**2).sum(axis=1))
whole_batch = np.sqrt((g**2).sum())
print(f"   norms of the samples' gradients: {per_sample.min():.3f} to {per_sample.max():.3f}")
print(f"   right:  mean (norm - 1)^2      = {np.mean((per_sample - 1) ** 2):.3f}")
print(f"   wrong:  (norm of them all - 1)^2 = {(whole_batch - 1) ** 2:.3f}, and it grows with the batch size")


print("\n3. The generator's gradient through activations that are out of date")
# D's score of the fakes is computed once, D is updated in place, and the old graph is used for G's turn.
D, fakes = critic(Tanh())
loss_gradient = np.full((N, 1), -1.0 / N)
p = D.new_pass(N)
p.forward(fakes)
old_weights = D.theta.copy()
with D.write() as theta:
    theta += 0.05 * draw.normal(size=D.size)  # D's turn
try:
    p.backward(loss_gradient)
except StalePassError as error:
    print(f"   npgan refuses: {error}")
p.forward(fakes)
fresh = p.backward(loss_gradient).copy()
# What the bug computes: slopes from the old activations, products with the new weights.
w, old = D.parameters(), D.clone()
old.load(old_weights)
q = old.new_pass(N, keep="all")
q.forward(fakes)
back = loss_gradient @ w["4/weight"].T
back = back * (1 - q["3"].y ** 2) @ w["2/weight"].T
stale = back * (1 - q["1"].y ** 2) @ w["0/weight"].T
print(f"   elsewhere it trains on a gradient that is off by {relative(stale, fresh):.1f} %")


print("\n4. Optimistic mirror descent on the bilinear game x y: theta <- theta - lr (2 g_t - g_{t-1})")
# Daskalakis et al. 2018. If `previous = gradient` keeps a reference to an array that is overwritten in place, both are
# the same numbers, 2 g - g = g, and what runs is plain gradient descent-ascent, which spirals outwards.
for name, remember in (("copied", np.copy), ("aliased", lambda array: array)):
    theta, gradient = np.array([1.0, 0.0]), np.zeros(2)
    previous = remember(gradient)
    for _ in range(500):
        gradient[:] = theta[1], -theta[0]
        theta -= 0.1 * (2 * gradient - previous)
        previous = remember(gradient)
    print(f"   {name:<8} distance from the equilibrium after 500 steps: {np.linalg.norm(theta):9.4f} (it began at 1)")
