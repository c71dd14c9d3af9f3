"""Gradient checks for npgan's layers and for your own: ``npgan.gradcheck.check(MyLayer(), (8,))``.

Needs NumPy alone.
"""

from npgan.gradcheck.check import GradientError, Report, Row, check
from npgan.gradcheck.differences import Estimate, derivative

__all__ = ["Estimate", "GradientError", "Report", "Row", "check", "derivative"]
