"""Rows of a table, by label."""
