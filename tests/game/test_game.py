"""Both players' gradients through the whole chain, against differences of the losses written out."""

import tracemalloc

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError, StalePassError
from npgan.game import Game, Latent
from npgan.gradcheck import derivative
from npgan.layers import Dense
from npgan.losses import LOSSES, get_loss
from npgan.network import Network


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


# Each loss as its paper has it, of scores t on real and f on generated samples: L_D and L_G.
FORMULAS = {
    "minimax": (
        lambda t, f: -np.log(sigmoid(t)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda f: np.log(1 - sigmoid(f)).mean(),
    ),
    "non-saturating": (
        lambda t, f: -np.log(sigmoid(t)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda f: -np.log(sigmoid(f)).mean(),
    ),
    "least-squares": (lambda t, f: ((t - 1) ** 2).mean() / 2 + (f**2).mean() / 2, lambda f: ((f - 1) ** 2).mean() / 2),
    "wasserstein": (lambda t, f: f.mean() - t.mean(), lambda f: -f.mean()),
    "hinge": (lambda t, f: np.maximum(0, 1 - t).mean() + np.maximum(0, 1 + f).mean(), lambda f: -f.mean()),
}
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_game = pytest.mark.parametrize("name", ["dense", "several scores", "conv"])


def losses(table, formulas):
    """Return L_D and L_G by the formulas, from fresh calls of the networks in training mode."""
    fake = table.G(table.z, table.labels, train=True)
    real_score, fake_score = (table.D(x, table.labels, train=True) for x in (table.x, fake))
    return formulas[0](real_score, fake_score), formulas[1](fake_score)


def gradients(table):
    """Return L_D, its gradient, L_G, its gradient."""
    out = [np.full(network.size, np.nan, network.dtype) for network in (table.D, table.G)]
    table.game.generate(table.z, table.labels, 0)
    loss_d = table.game.discriminator_gradient(out[0], table.x, table.labels, 0)
    loss_g = table.game.generator_gradient(out[1], table.labels, 0)
    return loss_d, out[0], loss_g, out[1]


@every_loss
def test_real_and_fake_in_one_sweep(table, monkeypatch, loss):
    together = table("relu", loss)
    monkeypatch.setattr("npgan.game.game._SMALL", 0)
    apart = table("relu", loss)
    assert (together.game.on_both is None, apart.game.on_both is None) == (False, True)
    for found, expected in zip(gradients(together), gradients(apart), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    for score in ("score_real", "score_fake"):
        assert getattr(together.game, score) == pytest.approx(getattr(apart.game, score), rel=1e-13)


def check_both(table, formulas):
    loss_d, gradient_d, loss_g, gradient_g = gradients(table)
    assert losses(table, formulas) == pytest.approx((loss_d, loss_g), rel=1e-12, abs=1e-12)
    draw = np.random.default_rng(3)
    for network, gradient, which in ((table.D, gradient_d, 0), (table.G, gradient_g, 1)):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 1e-4
        # Each array on its own, so that a small one does not hide behind a large one; and all together.
        parts = [slice(*ends) for ends in network.layout.ranges().values()] + [slice(None)]
        for part in parts:
            u = np.zeros(network.size)
            u[part] = draw.normal(size=u[part].shape)
            u /= np.linalg.norm(u)
            theta = network.theta.copy()

            def along(t, network=network, theta=theta, u=u, which=which):
                network.load(theta + t * u)
                return float(losses(table, formulas)[which])

            estimate = derivative(along)
            network.load(theta)
            size = np.abs(gradient[part]).max()
            assert estimate.error < 1e-7 * (size + 1e-2)
            assert abs(gradient @ u - estimate.value) <= 4 * estimate.error + 1e-9 * size


@every_loss
@every_game
def test_the_whole_chain(table, name, loss):
    check_both(table(name, loss), FORMULAS[loss])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_whole_chain_with_classes(table, backend):
    made = table("dense", "non-saturating", conditional=True, backend=backend, class_weights=[0.5, 2.0, 1.0, 0.0])
    w = np.array([0.5, 2.0, 1.0, 0.0])[made.labels][:, None]

    def weighted(values):
        return (w * values).sum() / len(w)

    check_both(
        made,
        (
            lambda t, f: weighted(-np.log(sigmoid(t))) + weighted(-np.log(1 - sigmoid(f))),
            lambda f: weighted(-np.log(sigmoid(f))),
        ),
    )


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_smoothing_is_of_the_real_side_alone(table, loss):
    def smoothed(t, f):
        return (-0.9 * np.log(sigmoid(t)) - 0.1 * np.log(1 - sigmoid(t))).mean() - np.log(1 - sigmoid(f)).mean()

    check_both(table("dense", loss, smoothing=0.1), (smoothed, FORMULAS[loss][1]))


@every_loss
def test_a_sign_is_not_a_matter_of_taste(table, loss):
    # A step of G down its gradient fools D better; a step of D tells real from generated better, where it says so.
    made = table("dense", loss)
    _, gradient_d, _, gradient_g = gradients(made)
    theta_d, theta_g = made.D.theta.copy(), made.G.theta.copy()

    def fooled():
        return float(made.D(made.G(made.z)).mean())

    def gap():
        return float(made.D(made.x).mean()) - fooled()

    before_gap, before_fooled = gap(), fooled()
    made.D.load(theta_d - 1e-3 * gradient_d)
    if loss == "wasserstein":
        assert gap() > before_gap
    made.D.load(theta_d)
    made.G.load(theta_g - 1e-3 * gradient_g)
    toward = 1.0 if loss == "least-squares" else np.inf  # the score that G wants
    assert abs(toward - fooled()) < abs(toward - before_fooled) or (toward == np.inf and fooled() > before_fooled)


def test_scores_and_losses_of_a_turn(table):
    made = table("dense", "minimax")
    loss_d, _, _, _ = gradients(made)
    assert made.game.score_real == pytest.approx(float(made.D(made.x).mean()))
    assert made.game.score_fake == pytest.approx(float(made.D(made.G(made.z)).mean()))
    assert loss_d == pytest.approx(losses(made, FORMULAS["minimax"])[0])


def test_the_well_known_stale_gradient(table):
    # D is updated between the scores of the fakes and the way back to G.
    made = table()
    out = np.zeros(made.G.size)
    made.game.generate(made.z, None, 0)
    made.game.judge.forward(made.game.fake.y)
    with made.D.write() as theta:
        theta *= 0.9
    with pytest.raises(StalePassError, match="the weights of D were written after forward"):
        made.game.judge.backward(np.ones((5, 1)))
    # And G between its forward and its gradient.
    with made.G.write() as theta:
        theta *= 0.9
    for turn in (
        lambda: made.game.generator_gradient(out, None, 0),
        lambda: made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0),
    ):
        with pytest.raises(StalePassError, match="the weights of G were written after forward"):
            turn()


def test_generators_turn_leaves_statistics_of_d(table):
    made = table("conv")
    made.game.generate(made.z, None, 0)
    made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0)
    state_g, state_d = made.G.state.copy(), made.D.state.copy()
    assert not np.array_equal(state_d, table("conv").D.state)
    made.game.generator_gradient(np.zeros(made.G.size), None, 0)
    np.testing.assert_array_equal(made.G.state, state_g)
    np.testing.assert_array_equal(made.D.state, state_d)


def test_statistics_of_d_see_the_real_and_then_the_generated(table):
    made, twin = table("conv"), table("conv")
    made.game.generate(made.z, None, 0)
    fake = made.game.fake.y.copy()
    made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0)
    p = twin.D.new_pass(5)
    p.forward(made.x)
    p.forward(fake)
    np.testing.assert_array_equal(made.D.state, twin.D.state)


def test_nothing_else_is_written(table):
    made = table("conv")
    theta = made.G.theta.copy(), made.D.theta.copy()
    z, x = made.z.copy(), made.x.copy()
    gradients(made)
    for array, copy in zip((made.G.theta, made.D.theta, made.z, made.x), (*theta, z, x), strict=True):
        np.testing.assert_array_equal(array, copy)


def test_checked_names_the_first_bad_array_and_then_lets_go(table):
    made = table()
    made.x[2, 1] = np.nan
    made.game.generate(made.z, None, 0)
    with pytest.raises(NonFiniteError, match=r"D/0 Dense: x of forward is nan at \(2, 1\)"), made.game.checked():
        made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0)
    made.game.generate(made.z, None, 0)
    assert np.isnan(made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (4,)}, r"G makes \(3,\), but D takes \(4,\)"),
        ({"dtype": "float32"}, "G computes in float64, D in float32"),
    ],
)
def test_players_that_do_not_fit(table, change, message):
    made = table()
    D = Network([Dense(1)], change.get("shape", (3,)), dtype=change.get("dtype", "float64"), name="D")
    with pytest.raises(ConfigError, match=message):
        Game(made.G, D, made.loss, 4)


def test_names_are_no_losses_and_penalties(table):
    made = table()
    with pytest.raises(ConfigError, match=r"loss is 'hinge', expected a Loss; get_loss makes one of a name"):
        Game(made.G, made.D, "hinge", 4)
    with pytest.raises(ConfigError, match=r"penalties has 'r1', expected GradientPenalty; get_penalty makes one"):
        Game(made.G, made.D, made.loss, 4, penalties=["r1"])


def test_class_weights_need_labels(table):
    made = table(class_weights=[1.0, 2.0])
    made.game.generate(made.z, None, 0)
    with pytest.raises(ConfigError, match="the loss has class weights, but the data have no labels"):
        made.game.discriminator_gradient(np.zeros(made.D.size), made.x, None, 0)


def test_labels_go_only_to_a_network_that_reads_them(table):
    made = table()
    labels = np.zeros(5, int)
    made.game.generate(made.z, labels, 0)
    made.game.discriminator_gradient(np.zeros(made.D.size), made.x, labels, 0)


def test_latents(table):
    random = table().random
    normal, uniform = (
        Latent((3,), distribution).draw(np.empty((4000, 3), np.float32), random, "latent", 2)
        for distribution in ("normal", "uniform")
    )
    assert abs(normal.std() - 1) < 0.03
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() < 1
    again = Latent((3,)).draw(np.empty((4000, 3), np.float32), random, "latent", 2)
    np.testing.assert_array_equal(again, normal)
    assert not np.any(Latent((3,)).draw(np.empty((4000, 3), np.float32), random, "latent", 3) == normal)
    with pytest.raises(ConfigError, match=r"latent.distribution is 'cauchy', expected \"normal\" or \"uniform\""):
        Latent((3,), "cauchy")


def test_losses_of_every_name_have_a_formula():
    assert set(FORMULAS) == set(LOSSES)
    assert all(get_loss(name).name == name for name in LOSSES)


@pytest.mark.parametrize("order", [1, 2])
def test_what_a_game_needs_is_known_before_it_takes_it(table, order):
    made = table("conv", order=order, penalties=["wgan-gp"])
    assert made.game.resized(made.game.batch).nbytes == made.game.nbytes
    tracemalloc.start()
    try:
        large = made.game.resized(10_000 * made.game.batch)
        assert large.nbytes > 3_000 * made.game.nbytes > 10_000_000
        assert tracemalloc.get_traced_memory()[1] < 500_000  # Python's objects
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        gradients(made)
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert taken > made.game.nbytes
