"""A bias along the last axis, added in place."""
