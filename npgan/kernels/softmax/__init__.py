"""Softmax along the last axis."""
