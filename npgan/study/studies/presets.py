"""How the study `modes` trains on each data set: settings that capture every mode, and the plain GAN beside them."""

from __future__ import annotations

from typing import Any

_COMMON = {"loss": "non-saturating", "rule": "alternating", "batch": 256, "latent": 2, "beta1": 0.5, "beta2": 0.999}

# Depth sharpens G's borders between modes, R1 keeps all modes, and the falling rate with the average settles on them.
# Measured: ring-8, seeds 0 to 4: 8 modes, 96.3 ± 0.5 % of high quality, 96.1 % at worst. grid-25,
# seeds 0 and 3: 25 modes, 97.9 and 95.4 % (before sums were rounded as they are now, 97.5 to 98.0 % with seeds 0 to 4).
# What made grid-25, by seed 0's quality after 6,000 steps: with lr 2e-3 and gamma 0.02 or 0.03, depth 3 has 51 % with
# beta1 0.5 and 56 % with beta1 0; with beta1 0, gamma 0.1 and lr 1e-3, depth 8 has 87 %: with lr 5e-4 62 %, 2e-3 78 %.
PRESETS: dict[str, dict[str, Any]] = {
    "ring-8": {
        **_COMMON,
        "penalty": "r1 gamma=0.01",
        **{"batch": 512, "width": 128, "depth": 4, "lr": 2e-3, "schedule": "cosine", "ema": 0.995, "steps": 12_000},
    },
    "grid-25": {
        **_COMMON,
        "penalty": "r1 gamma=0.1",
        **{"batch": 512, "width": 128, "depth": 8, "lr": 1e-3, "schedule": "cosine", "ema": 0.99, "steps": 24_000},
        **{"beta1": 0.0, "beta2": 0.99},
    },
}

# The recipe `ring`, as everybody begins.
PLAIN: dict[str, Any] = {
    **_COMMON,
    "penalty": "none",
    **{"width": 128, "depth": 2, "lr": 1e-3, "schedule": "constant", "ema": 0.0},
}
