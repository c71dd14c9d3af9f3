"""Sums over a flat vector."""
