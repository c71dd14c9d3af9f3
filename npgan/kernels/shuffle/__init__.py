"""Channels to pixels and back."""
