"""A run of small dense layers and piecewise-linear activations: a whole sweep through them in one call."""
