"""Gradient checks for npgan's layers and for your own: ``npgan.gradcheck.check(MyLayer(), (8,))``.

Needs NumPy alone.
"""

from npgan.gradcheck.check import check
from npgan.gradcheck.differences import Estimate, derivative
from npgan.gradcheck.report import GradientError, Report, Row

__all__ = ["Estimate", "GradientError", "Report", "Row", "check", "derivative"]
