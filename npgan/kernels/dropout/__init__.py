"""Dropout: a mask, and its product with the signal."""
