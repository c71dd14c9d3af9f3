"""Update maps on paper: what a rule makes of a field v = J θ, for rules whose maps are short enough to be written down.

These are formulas of J alone, with nothing of a game or a rule in them, to stand beside what the general machinery
finds. η is the learning rate of both players, D's weights come first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.game import Rule

Map = Callable[[Array, float, int, Any], Array]  # J, η, P_D, the rule -> the derivative of a step


def _simultaneous(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - ηJ."""
    found: Array = np.eye(len(J)) - eta * J
    return found


def _alternating(J: Array, eta: float, d: int, rule: Any) -> Array:
    """D's rows, then G's."""
    first, second = np.eye(len(J)), np.eye(len(J))
    first[:d] -= eta * J[:d]
    second[d:] -= eta * J[d:]
    found: Array = second @ np.linalg.matrix_power(first, rule.n_critic)
    return found


def _extragradient(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - ηJ (1 - ηJ), Korpelevich 1976; on J = [[0, -1], [1, 0]] the radius is √(1 - η² + η⁴)."""
    eye = np.eye(len(J))
    found: Array = eye - eta * J @ (eye - eta * J)
    return found


def _optimistic(J: Array, eta: float, d: int, rule: Any) -> Array:
    """θ ← θ - 2ηv + ηv', v' the last one (Daskalakis et al. 2018, eq. 5), as a map of (θ, θ')."""
    n = len(J)
    return np.block([[np.eye(n) - 2 * eta * J, eta * J], [np.eye(n), np.zeros((n, n))]])


def _from_the_past(J: Array, eta: float, d: int, rule: Any) -> Array:
    """θ ← θ - ηJ (θ - ηw) with w what J (θ - ηw) was in the last step (Gidel et al. 2019, algorithm 3): of (θ, w)."""
    eye = np.eye(len(J))
    return np.block([[eye - eta * J, eta**2 * J], [J, -eta * J]])


def _negative_momentum(J: Array, eta: float, d: int, rule: Any) -> Array:
    """Each player in turn: u ← βu + Jθ, θ ← θ - ηu (Gidel et al. 2019, "Negative momentum", eq. 8): of (θ, u)."""
    n = len(J)
    turns = np.eye(2 * n)
    for player in (range(d), range(d, n)):
        turn = np.eye(2 * n)
        for i in player:
            turn[n + i, :n], turn[n + i, n + i] = J[i], rule.beta
            turn[i, :n] -= eta * J[i]
            turn[i, n + i] = -eta * rule.beta
        turns = turn @ turns
    return turns


def _lookahead(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 + α (Aᵏ - 1), A the inner rule's map (Chavdarova et al. 2021, section 3)."""
    inner = MAPS[rule.inner.name](J, eta, d, rule.inner)
    eye = np.eye(len(inner))
    found: Array = eye + rule.alpha * (np.linalg.matrix_power(inner, rule.k) - eye)
    return found


def _hamiltonian(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - ηJᵀJ, Balduzzi et al. 2018, section 3."""
    found: Array = np.eye(len(J)) - eta * J.T @ J
    return found


def _symplectic(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - η (1 + λAᵀ) J with A = (J - Jᵀ)/2, Balduzzi et al. 2018, algorithm 1; λ is positive at a zero."""
    eye = np.eye(len(J))
    found: Array = eye - eta * (eye + 0.5 * rule.strength * (J.T - J)) @ J
    return found


def _consensus(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - η (J + γJᵀJ), Mescheder et al. 2017; on a rotation the radius is √((1 - ηγ)² + η²)."""
    found: Array = np.eye(len(J)) - eta * (J + rule.gamma * J.T @ J)
    return found


def _competitive(J: Array, eta: float, d: int, rule: Any) -> Array:
    """1 - η (1 + ηA)⁻¹ J, A what lies off J's diagonal blocks (Schäfer and Anandkumar 2019)."""
    across = J.copy()
    across[:d, :d] = 0
    across[d:, d:] = 0
    eye = np.eye(len(J))
    found: Array = eye - eta * np.linalg.solve(eye + eta * across, J)
    return found


MAPS: dict[str, Map] = {
    "simultaneous": _simultaneous,
    "alternating": _alternating,
    "extragradient": _extragradient,
    "optimistic": _optimistic,
    "extrapolation-from-past": _from_the_past,
    "negative-momentum": _negative_momentum,
    "lookahead": _lookahead,
    "consensus": _consensus,
    "hamiltonian": _hamiltonian,
    "symplectic": _symplectic,
    "competitive": _competitive,
}


def on_paper(rule: Rule, J: Array, players: tuple[int, int]) -> Array | None:
    """Return the eigenvalues of a rule's update map of v = J θ by its formula, or None where there is none here.

    Parameters
    ----------
    rule : Rule
        With one learning rate for both players, and plain gradient descent for its optimizers.
    J : array (P, P)
    players : (int, int)
        P_D and P_G.
    """
    inner = getattr(rule, "inner", rule)
    if rule.name not in MAPS or inner.name not in ("alternating", "simultaneous", rule.name):
        return None
    found: Array = np.linalg.eigvals(MAPS[rule.name](J, rule.rates[0], players[0], rule))
    return found


def distance(formula: Array, computed: Array) -> float:
    """Return how far the formula's eigenvalues lie from the nearest computed ones, at most."""
    return float(np.abs(formula[:, None] - computed[None]).min(axis=1).max())
