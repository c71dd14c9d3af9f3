"""The gradients of the minimax game, from two weights to a network: fields, Jacobians, spectra, and what they foretell.

    python examples/minimax_gradients.py

A GAN's two players descend two losses of one vector of weights θ = [θ_D, θ_G]. What they follow is not a gradient but a
field, v = (∂L_D/∂θ_D, ∂L_G/∂θ_G), and its Jacobian J is not symmetric: its eigenvalues may be complex, and then the
players turn around their equilibrium. How fast, and whether they ever arrive, can be read off before a step is taken.
"""

import numpy as np

from npgan import Network
from npgan.game import Game, bilinear_game, dirac_gan, get_rule
from npgan.layers import Dense, Tanh
from npgan.losses import get_loss
from npgan.penalties import get_penalty
from npgan.study import find_equilibrium, flow_spectrum, map_spectrum, split, verdict, verify


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


# 1. The smallest GAN: the data are the point 0, G puts a point at θ, D(x) = ψ x. Both are networks here, of one weight.
heading("The Dirac-GAN")
game = dirac_gan("non-saturating")
print(f"at the equilibrium ψ = θ = 0 the field is {game.gradient()}, and its Jacobian")
print(game.jacobian())
print(f"The flow -v has the eigenvalues {flow_spectrum(game).values}: it circles, and never arrives.")

# 2. What a training loop does with it is a map of the weights. Its derivative says all, near the equilibrium.
heading("Two rules on it")
for name in ("simultaneous", "alternating"):
    rule = get_rule(name, game, lr=0.2)
    print(verdict(rule, game, penalized=game.penalized([get_penalty("r1", gamma=1.0)])))
    print(verify(rule, game), end="\n\n")  # 189 real steps, beside what was foretold

# 3. A penalty on D's gradient pulls the eigenvalues to the left, and momentum below 0 does something alike.
heading("What helps")
penalized = game.penalized([get_penalty("r1", gamma=0.3)])
print(f"R1 with γ = 0.3: eigenvalues {flow_spectrum(penalized).values}")
for momentum in (0.5, 0.0, -0.5):
    rule = get_rule("alternating", game, lr=0.2, optimizer_options={"momentum": momentum})
    print(f"momentum {momentum:4}: spectral radius {map_spectrum(rule, game).growth[0]:.6f} a step")

# 4. All of a bilinear game rotates; a real game is between that and a potential that one could simply descend.
heading("Potential and rotation")
print(f"bilinear game: {split(bilinear_game(1.0)).potential:.0%} of J is symmetric")

# 5. A GAN of networks, on eight points of a circle. Nothing changes but the number of weights.
G = Network([Dense(16), Tanh(), Dense(16), Tanh(), Dense(2)], (2,), dtype="float64", seed=1, name="G")
D = Network([Dense(16), Tanh(), Dense(16), Tanh(), Dense(1)], (2,), dtype="float64", seed=2, name="D")
draw = np.random.default_rng(0)
angles = 2 * np.pi * draw.integers(0, 8, 64) / 8
x = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.02 * draw.normal(size=(64, 2))
z = draw.normal(size=(64, 2))
network_game = Game(G, D, get_loss("non-saturating"), batch=64, penalties=[get_penalty("r1", gamma=0.1)], order=2)
game = network_game.on(x, z)

heading(f"A GAN of {game.size} weights")
print(f"{split(game).potential:.0%} of J is symmetric at the initial weights")
u = draw.normal(size=game.size)
print(f"|J u| is {np.linalg.norm(game.jvp(u)):.4f}, by one pass of the R-operator; <u, J u> is {u @ game.jvp(u):.6f},")
print(f"and with the transpose {game.vjp(u) @ u:.6f}")

rule = get_rule("alternating", game, lr=0.1)
for trained in (0, 300):
    for _ in range(trained):
        rule.step(game)
    spectrum = flow_spectrum(game, k=4, order="modulus")
    size = np.linalg.norm(game.gradient())
    print(f"\nafter {trained} steps |v| is {size:.4f}; the leading eigenvalues of -J, and who moves:")
    for value, (d, g), residual in zip(spectrum.values, spectrum.participation, spectrum.eigen.residuals, strict=True):
        print(f"  {value.real:9.4f} {value.imag:+9.4f}i   D {d:4.0%}, G {g:4.0%}   residual {residual:.0e}")

# 6. Its equilibrium is near, and what is foretold there is what happens: also of the mode that turns fastest.
heading("The equilibrium of this GAN")
found = find_equilibrium(game, tol=1e-4)
print(f"|v| is {found.residual:.0e} after {found.iterations} steps of Newton's method, {found.distance:.2f} away")
spectrum = map_spectrum(rule, game)
print(verdict(rule, game, spectrum=spectrum))
print(verify(rule, game, spectrum=spectrum, mode=int(np.argmin(spectrum.periods))))
