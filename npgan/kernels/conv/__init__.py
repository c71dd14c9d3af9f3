"""Convolution of images and its two adjoints; the data gradient is the transposed convolution."""
