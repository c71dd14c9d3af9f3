"""Copies and sums of arrays of any strides."""
