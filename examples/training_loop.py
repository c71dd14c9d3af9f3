"""A GAN in one file, every gradient in sight: handwritten digits, 8 x 8 pixels.

    python examples/training_loop.py [steps] [picture.png]

Two players (Goodfellow et al. 2014, "Generative adversarial nets"). The discriminator D looks at an image and says
how sure it is that the image is real: a logit t, the probability is sigmoid(t). The generator G makes images out of
noise z. D learns to tell them apart; G learns to make D wrong:

    D minimises   L_D = mean[ -log sigmoid(D(x)) ] + mean[ -log(1 - sigmoid(D(G(z)))) ]
    G minimises   L_G = mean[ -log sigmoid(D(G(z))) ]          (the "non-saturating" loss of the paper's section 3)

To train them we need dL_D/d(weights of D) and dL_G/d(weights of G). The chain rule starts at the logit, where it is
short enough to do in the head. With s = sigmoid(t):

    d/dt [-log s]      = s - 1
    d/dt [-log(1 - s)] = s

From there `backward` carries the gradient through the layers, each of which knows its own derivative.
"""

import sys

import numpy as np

from npgan import Arena, Network, open_dataset
from npgan.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense, Flatten, LeakyReLU, Normal, ReLU, Reshape, Tanh
from npgan.optimizers import Adam

BATCH, LATENT, SEED = 64, 64, 0
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
PICTURE = sys.argv[2] if len(sys.argv) > 2 else "digits.png"


def sigmoid(t):
    return 0.5 * (1.0 + np.tanh(0.5 * t))  # never overflows


# ---- the players -----------------------------------------------------------------------------------------------
# Images are (height, width, channels) and lie in (-1, 1), so G ends in tanh. D ends in one logit.
small = Normal(0.02)
G = Network(
    [
        Dense(4 * 4 * 64, init=small),
        Reshape((4, 4, 64)),
        BatchNorm(),
        ReLU(),
        ConvTranspose2d(1, 4, stride=2, padding=1, init=small),
        Tanh(),
    ],
    input_shape=(LATENT,),
    seed=SEED,
    name="G",
)
D = Network(
    [
        Conv2d(64, 4, stride=2, padding=1, init=small),
        LeakyReLU(0.2),
        Flatten(),
        Dense(1, init=small),
    ],
    input_shape=(8, 8, 1),
    seed=SEED,
    name="D",
)
print(G.summary(), D.summary(), sep="\n\n")

# ---- the call sites --------------------------------------------------------------------------------------------
# A step calls D three times: on real images, on fakes, and on fakes again when it is G's turn. What `backward` must
# remember of a call lies in a Pass, so each call has its own. D's three follow one another and can share memory.
shared = Arena(D.backend)
fake = G.new_pass(BATCH, name="fake")
on_real = D.new_pass(BATCH, arena=shared, name="on_real")
on_fake = D.new_pass(BATCH, arena=shared, name="on_fake")
judge = D.new_pass(BATCH, arena=shared, name="judge")

adam_g = Adam(G.size, betas=(0.5, 0.999))
adam_d = Adam(D.size, betas=(0.5, 0.999))

# ---- the data --------------------------------------------------------------------------------------------------
digits = open_dataset("digits")
x = np.empty((BATCH, 8, 8, 1), "float32")
draw = np.random.default_rng(SEED)

# ---- the game --------------------------------------------------------------------------------------------------
for step in range(STEPS):
    digits.batch(draw.integers(0, len(digits), BATCH), x)
    z = draw.standard_normal((BATCH, LATENT), "float32")

    # D's turn: the gradient of L_D has a part from the real images and a part from the fakes, added up.
    t = on_real.forward(x)
    loss_d = np.logaddexp(0.0, -t).mean()
    on_real.backward((sigmoid(t) - 1.0) / BATCH, dtheta=D.grad, dx=False)

    images = fake.forward(z)
    t = on_fake.forward(images)
    loss_d += np.logaddexp(0.0, t).mean()
    on_fake.backward(sigmoid(t) / BATCH, dtheta=D.grad, accumulate=True, dx=False)

    with D.write() as theta:
        adam_d.step(theta, D.grad, lr=2e-4)

    # G's turn: D has new weights, so it must look again. We want the gradient of its *input*, not of its weights,
    # and hand that on to G.
    t = judge.forward(images)
    loss_g = np.logaddexp(0.0, -t).mean()
    dimages = judge.backward((sigmoid(t) - 1.0) / BATCH)
    fake.backward(dimages, dtheta=G.grad, dx=False)

    with G.write() as theta:
        adam_g.step(theta, G.grad, lr=2e-4)

    if (step + 1) % 250 == 0 or step + 1 == STEPS:
        print(f"step {step + 1}: L_D {loss_d:.3f}  L_G {loss_g:.3f}  |dL_G| {np.linalg.norm(G.grad):.3f}")

# ---- the picture -----------------------------------------------------------------------------------------------
from pathlib import Path  # noqa: E402

from npgan.training.pictures import grid, to_uint8, write_png  # noqa: E402

samples = G(draw.standard_normal((64, LATENT), "float32"))
write_png(Path(PICTURE), grid(to_uint8(samples)))
print(f"64 samples: {PICTURE}")
