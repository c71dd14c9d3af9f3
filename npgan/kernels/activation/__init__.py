"""Element-wise functions and their derivatives."""
