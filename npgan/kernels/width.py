"""How long the inner loop is that runs along channels: one along a few of them is over before it is fast."""

_LEAST = 256  # elements


def width(channels: int) -> int:
    """Return the elements of an inner loop, some whole rows of so many channels."""
    return channels * max(1, _LEAST // channels)
