"""The minimax game studied: spectra, what they foretell, and what then happens."""

from npgan.study.eigen import Eigen, eigen
from npgan.study.equilibrium import Equilibrium, find_equilibrium
from npgan.study.predict import Mode, Verification, leading_mode, verify
from npgan.study.rules import Comparison, Interval, compare_on_game, compare_rules, interval
from npgan.study.spectrum import Spectrum, Spread, flow_spectrum, map_spectrum, spread
from npgan.study.split import Split, split
from npgan.study.verdict import Verdict, largest_step, least_penalty, verdict

__all__ = [
    "Comparison",
    "Eigen",
    "Equilibrium",
    "Interval",
    "Mode",
    "Spectrum",
    "Split",
    "Spread",
    "Verdict",
    "Verification",
    "compare_on_game",
    "compare_rules",
    "eigen",
    "find_equilibrium",
    "flow_spectrum",
    "interval",
    "largest_step",
    "leading_mode",
    "least_penalty",
    "map_spectrum",
    "split",
    "spread",
    "verdict",
    "verify",
]
