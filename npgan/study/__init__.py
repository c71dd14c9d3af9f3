"""The minimax game studied: spectra, what they foretell, and what then happens."""

from npgan.study.eigen import Eigen, eigen
from npgan.study.equilibrium import Equilibrium, find_equilibrium
from npgan.study.predict import Mode, Verification, leading_mode, verify
from npgan.study.spectrum import Spectrum, Spread, flow_spectrum, map_spectrum, spread
from npgan.study.split import Split, split
from npgan.study.verdict import Verdict, largest_step, least_penalty, verdict

__all__ = [
    "Eigen",
    "Equilibrium",
    "Mode",
    "Spectrum",
    "Split",
    "Spread",
    "Verdict",
    "Verification",
    "eigen",
    "find_equilibrium",
    "flow_spectrum",
    "largest_step",
    "leading_mode",
    "least_penalty",
    "map_spectrum",
    "split",
    "spread",
    "verdict",
    "verify",
]
