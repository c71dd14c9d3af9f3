"""Every rule against its paper's iteration, written out with matrices, on games whose field is affine."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ConvergenceError
from npgan.game import RULES, QuadraticGame, bilinear_game, get_rule

P_D, P_G = 3, 2
P = P_D + P_G
D, G = slice(0, P_D), slice(P_D, P)
STEPS = 4
ETA_D, ETA_G = 0.1, 0.07
E = np.diag([ETA_D] * P_D + [ETA_G] * P_G)


class Affine:
    """L_D = ½ θᵀAθ + aᵀθ, L_G = ½ θᵀBθ + bᵀθ, and all that follows, by NumPy alone."""

    def __init__(self, seed=0, zero_sum=False):
        draw = np.random.default_rng(seed)
        forms = draw.normal(size=(2, P, P))
        self.A, self.B = ((form + form.T) / 2 for form in forms)
        self.a, self.b = draw.normal(size=(2, P))
        if zero_sum:
            self.B, self.b = -self.A, -self.a
        self.theta = draw.normal(size=P)
        self.J = np.concatenate([self.A[D], self.B[G]])
        self.N = self.J.copy()
        self.N[D, D] = self.N[G, G] = 0

    def game(self):
        return QuadraticGame((P_D, P_G), self.A, self.B, self.a, self.b, theta=self.theta)

    def v(self, theta):
        return np.concatenate([(self.A @ theta + self.a)[D], (self.B @ theta + self.b)[G]])

    def cross(self, theta):
        return np.concatenate([(self.B @ theta + self.b)[D], (self.A @ theta + self.a)[G]])


def memoryless(step):
    """Repeat a step that depends on the point alone."""

    def path(q):
        theta = q.theta
        for _ in range(STEPS):
            theta = step(q, theta)
        return theta

    return path


def alternating(q, theta):
    theta = theta.copy()
    theta[D] -= ETA_D * q.v(theta)[D]
    theta[G] -= ETA_G * q.v(theta)[G]
    return theta


def extragradient(q, theta):
    return theta - E @ q.v(theta - E @ q.v(theta))


def from_the_past(q):
    theta, past = q.theta, np.zeros(P)
    for _ in range(STEPS):
        past = q.v(theta - E @ past)
        theta = theta - E @ past
    return theta


def optimistic(q):
    theta, past = q.theta, np.zeros(P)
    for _ in range(STEPS):
        v = q.v(theta)
        theta, past = theta - 2 * E @ v + E @ past, v
    return theta


def heavy_ball(q):
    theta, before = q.theta.copy(), q.theta.copy()
    for _ in range(STEPS):
        start = theta.copy()
        theta[D] += -ETA_D * q.v(theta)[D] - 0.4 * (start - before)[D]
        theta[G] += -ETA_G * q.v(theta)[G] - 0.4 * (start - before)[G]
        before = start
    return theta


def consensus(q, theta):
    v = q.v(theta)
    return theta - E @ (v + 0.3 * q.J.T @ v)


def symplectic(q, theta, aligned=True):
    v, A = q.v(theta), (q.J - q.J.T) / 2
    slope, turn = q.J.T @ v, A.T @ v
    sign = np.sign((v @ slope) * (turn @ slope) / P + 0.1) if aligned else 1
    return theta - E @ (v + sign * 0.7 * turn)


def competitive(q, theta):
    return theta - np.linalg.solve(np.eye(P) + E @ q.N, E @ q.v(theta))


def lola(q, theta, alpha_d=ETA_G, alpha_g=ETA_D, zero_sum=False):
    v, c = q.v(theta), q.cross(theta)
    c = -v if zero_sum else c
    w_d = v[D] - alpha_d * q.J[G, D].T @ c[G]
    w_g = v[G] - alpha_g * q.J[D, G].T @ c[D]
    return theta - E @ np.concatenate([w_d, w_g])


def unrolled(q, theta, k=3, alpha=ETA_D, zero_sum=True):
    """The total derivative of L_G at the end, by the chain rule forwards: dθ_D^k/dθ_G."""
    ahead, slope = theta.copy(), np.zeros((P_D, P_G))
    for _ in range(k):
        ahead[D] -= alpha * q.v(ahead)[D]
        slope = slope - alpha * (q.A[D, D] @ slope + q.A[D, G])
    w_g = q.v(ahead)[G] + slope.T @ (-q.v(ahead) if zero_sum else q.cross(ahead))[D]
    return theta - E @ np.concatenate([q.v(theta)[D], w_g])


def lookahead(q):
    theta = q.theta
    for _ in range(STEPS):
        fast = theta
        for _ in range(3):
            fast = extragradient(q, fast)
        theta = theta + 0.4 * (fast - theta)
    return theta


CASES = {
    "simultaneous": ("simultaneous", {}, memoryless(lambda q, t: t - E @ q.v(t))),
    "alternating": ("alternating", {}, memoryless(alternating)),
    "negative-momentum": ("negative-momentum", {"beta": -0.4}, heavy_ball),
    "extragradient": ("extragradient", {}, memoryless(extragradient)),
    "extrapolation-from-past": ("extrapolation-from-past", {}, from_the_past),
    "optimistic": ("optimistic", {}, optimistic),
    "consensus": ("consensus", {"gamma": 0.3}, memoryless(consensus)),
    "symplectic": ("symplectic", {"strength": 0.7}, memoryless(symplectic)),
    "symplectic, not aligned": (
        "symplectic",
        {"strength": 0.7, "alignment": False},
        memoryless(lambda q, t: symplectic(q, t, False)),
    ),
    "hamiltonian": ("hamiltonian", {}, memoryless(lambda q, t: t - E @ q.J.T @ q.v(t))),
    "competitive": ("competitive", {}, memoryless(competitive)),
    "lola": ("lola", {}, memoryless(lola)),
    "lola, lookahead": ("lola", {"lookahead": 0.3}, memoryless(lambda q, t: lola(q, t, 0.3, 0.3))),
    "lola, zero-sum": ("lola", {"zero_sum": True}, memoryless(lambda q, t: lola(q, t, zero_sum=True))),
    "unrolled, own loss": (
        "unrolled",
        {"k": 3, "zero_sum": False},
        memoryless(lambda q, t: unrolled(q, t, zero_sum=False)),
    ),
    "unrolled": ("unrolled", {"k": 3}, memoryless(unrolled)),
    "unrolled, rate": ("unrolled", {"k": 2, "rate": 0.3}, memoryless(lambda q, t: unrolled(q, t, 2, 0.3))),
    "lookahead": ("lookahead", {"inner": "extragradient", "k": 3, "alpha": 0.4}, lookahead),
    "averaging": ("averaging", {"inner": "extragradient"}, memoryless(extragradient)),
    "ema": ("ema", {}, memoryless(alternating)),
}


def test_no_rule_is_left_out():
    assert {name for name, _, _ in CASES.values()} == set(RULES)


@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_few_steps_are_the_papers(case, zero_sum):
    name, options, path = CASES[case]
    q = Affine(seed=3, zero_sum=zero_sum)
    game = q.game()
    rule = get_rule(name, game, lr=(ETA_D, ETA_G), **options)
    for _ in range(STEPS):
        rule.step(game)
    assert np.linalg.norm(game.theta - q.theta) > 0.05
    np.testing.assert_allclose(game.theta, path(q), rtol=1e-9, atol=1e-9)


def test_alignment_turns_the_adjustment_round():
    """Some of the points above have each sign of λ; else the formula's sign has not been tested."""
    signs = set()
    for seed in range(12):
        q = Affine(seed)
        v, A = q.v(q.theta), (q.J - q.J.T) / 2
        slope = q.J.T @ v
        signs.add(float(np.sign((v @ slope) * ((A.T @ v) @ slope) / P + 0.1)))
        game = q.game()
        get_rule("symplectic", game, lr=(ETA_D, ETA_G), strength=0.7).step(game)
        np.testing.assert_allclose(game.theta, symplectic(q, q.theta), rtol=1e-12)
    assert signs == {-1.0, 1.0}


def test_alignment_has_a_bias_towards_adjusting():
    """Of ε, against the mean over the weights of what decides."""
    q = next(q for q in map(Affine, range(20)) if decisive(q, q.theta) < -0.1)
    zero = -np.linalg.solve(q.J, np.concatenate([q.a[D], q.b[G]]))
    for size, sign in ((0.9, 1.0), (1.1, -1.0)):  # what decides is of fourth order in the distance
        theta = zero + (size * 0.1 / -decisive(q, q.theta)) ** 0.25 * (q.theta - zero)
        assert decisive(q, theta) == pytest.approx(-0.1 * size)
        game = q.game().at(theta)
        get_rule("symplectic", game, lr=(ETA_D, ETA_G), strength=0.7).step(game)
        v = q.v(theta)
        expected = theta - E @ (v + sign * 0.7 * ((q.J - q.J.T) / 2).T @ v)
        np.testing.assert_allclose(game.theta, expected, rtol=1e-12)


def decisive(q, theta):
    v = q.v(theta)
    slope, turn = q.J.T @ v, ((q.J - q.J.T) / 2).T @ v
    return (v @ slope) * (turn @ slope) / P


@pytest.mark.parametrize("inner", ["optimistic", "extrapolation-from-past", "negative-momentum"])
def test_averages_and_what_is_inside(inner):
    """The mean is of the points, which are those of the inner rule, whose memory is its own."""
    q = Affine(1)
    plain, inside, moving = q.game(), q.game(), q.game()
    rule = get_rule(inner, plain, lr=0.1)
    uniform = get_rule("averaging", inside, lr=0.1, inner=inner)
    ema = get_rule(
        "ema", moving, lr=0.1, inner="lookahead", inner_options={"inner": inner, "k": 1, "alpha": 1.0}, decay=0.8
    )
    points = []
    for _ in range(5):
        for each, game in ((rule, plain), (uniform, inside), (ema, moving)):
            each.step(game)
        points.append(plain.theta)
    np.testing.assert_array_equal(inside.theta, plain.theta)
    np.testing.assert_allclose(moving.theta, plain.theta, rtol=1e-14)
    np.testing.assert_allclose(uniform.average, np.mean(points, axis=0), rtol=1e-13)
    mean = points[0]
    for point in points[1:]:
        mean = 0.8 * mean + 0.2 * point
    np.testing.assert_allclose(ema.average, mean, rtol=1e-13)
    assert rule.average is None
    np.testing.assert_array_equal(uniform.inner.memory, rule.memory)
    assert uniform.memory.size == rule.memory.size + P


def test_extrapolation_from_the_past_visits_the_points_of_optimism():
    q = Affine(2)
    game, twin = q.game(), q.game()
    past, optimism = (
        get_rule(name, g, lr=0.1) for name, g in (("extrapolation-from-past", game), ("optimistic", twin))
    )
    for _ in range(5):
        past.step(game)
        optimism.step(twin)
        np.testing.assert_allclose(game.theta - 0.1 * past.memory, twin.theta, rtol=1e-12)


def test_negative_momentum_is_alternation_with_it():
    q = Affine(4)
    game, twin = q.game(), q.game()
    rule = get_rule("negative-momentum", game, lr=0.1, beta=-0.3)
    other = get_rule("alternating", twin, lr=0.1, optimizer_options={"momentum": -0.3})
    for _ in range(5):
        rule.step(game)
        other.step(twin)
    np.testing.assert_allclose(game.theta, twin.theta, rtol=1e-13)


@pytest.mark.parametrize("name", ["extragradient", "optimistic", "extrapolation-from-past"])
def test_adam_forms(name):
    """By Adam's formulas: every gradient that is taken is in the moments."""
    q, b1, b2, eps, eta = Affine(5), 0.5, 0.9, 1e-8, 0.01
    game = q.game()
    rule = get_rule(name, game, lr=eta, optimizer="adam", optimizer_options={"betas": (b1, b2)})
    theta, m, s, past = q.theta, np.zeros(P), np.zeros(P), np.zeros(P)

    def direction(g, t):
        m_t, s_t = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g * g
        return m_t, s_t, m_t / (1 - b1**t) / (np.sqrt(s_t / (1 - b2**t)) + eps)

    for t in range(1, 5):
        if name == "extragradient":
            m, s, d = direction(q.v(theta), 2 * t - 1)
            m, s, d = direction(q.v(theta - eta * d), 2 * t)
            theta = theta - eta * d
        elif name == "optimistic":
            m, s, d = direction(q.v(theta), t)
            theta, past = theta - 2 * eta * d + eta * past, d
        else:
            m, s, past = direction(q.v(theta - eta * past), t)
            theta = theta - eta * past
        rule.step(game)
        np.testing.assert_allclose(game.theta, theta, rtol=1e-12)
    assert [each.t for each in rule.optimizers] == [8, 8] if name == "extragradient" else [4, 4]


def test_what_a_step_costs():
    game = Affine(0).game()
    costs = {
        "simultaneous": 1, "alternating": 1, "negative-momentum": 1, "extragradient": 2, "extrapolation-from-past": 1,
        "optimistic": 1, "consensus": 3.4, "symplectic": 5.6, "hamiltonian": 3.4, "lola": 2.6, "unrolled": 15,
        "lookahead": 5, "averaging": 1, "ema": 1,
    }  # fmt: skip
    assert {name: pytest.approx(get_rule(name, game).evaluations) for name in costs} == costs
    assert get_rule("lookahead", game, inner="extragradient", k=3).evaluations == 6
    rule = get_rule("competitive", game, lr=0.1)
    rule.step(game)
    inside = get_rule("averaging", Affine(0).game(), lr=0.1, inner="competitive")
    inside.step(Affine(0).game())
    assert inside.evaluations == rule.evaluations > 1 + 3 * 2.4
    assert (rule.evaluations - 1) / 2.4 == pytest.approx(round((rule.evaluations - 1) / 2.4))
    easy = get_rule("competitive", game, lr=0.0)
    easy.step(game)
    assert easy.evaluations < rule.evaluations


def test_conjugate_gradients_that_do_not_converge_move_nobody():
    q = Affine(6)
    game = q.game()
    rule = get_rule("competitive", game, lr=3.0, iterations=2)
    with pytest.raises(ConvergenceError, match=r"rule competitive: conjugate gradients left .* after 2 iterations"):
        rule.step(game)
    np.testing.assert_array_equal(game.theta, q.theta)
    loose = get_rule("competitive", game, lr=(ETA_D, ETA_G), tol=1e-2)
    loose.step(game)
    expected = competitive(q, q.theta)
    assert 1e-12 < np.abs(game.theta - expected).max() < 1e-2 * np.linalg.norm(expected - q.theta)


def test_options_that_make_no_sense():
    game = bilinear_game()
    for name, options, message in (
        ("negative-momentum", {"beta": -1}, "beta is -1"),
        ("consensus", {"gamma": -1}, "rule consensus: gamma is -1"),
        ("symplectic", {"epsilon": 0}, "epsilon is 0"),
        ("symplectic", {"alignment": 1}, "alignment is 1, expected true or false"),
        ("competitive", {"tol": 0}, "tol is 0"),
        ("competitive", {"iterations": 0}, "iterations is 0"),
        ("lola", {"lookahead": -1}, "lookahead is -1"),
        ("unrolled", {"k": 0}, "k is 0"),
        ("unrolled", {"rate": -1}, "rate is -1"),
        ("unrolled", {"zero_sum": "yes"}, "zero_sum is 'yes', expected true or false"),
        ("lookahead", {"k": 0}, "k is 0"),
        ("lookahead", {"alpha": 0}, "alpha is 0"),
        ("lookahead", {"inner": "extragrad"}, "rule is 'extragrad'; did you mean 'extragradient'"),
        ("ema", {"decay": 1}, "decay is 1"),
        ("ema", {"inner": "averaging"}, r"its inner rule, averaging\(alternating\), has an average already"),
        ("averaging", {"inner_options": {"gamma": 1}}, "rule 'alternating' has no option 'gamma'"),
        ("extragradient", {"gamma": 1}, "rule 'extragradient' has no option 'gamma'"),
    ):
        with pytest.raises(ConfigError, match=message):
            get_rule(name, game, **options)
