"""A weight's gradient from what each thread has found of it."""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.compile import kernel


@kernel
def add_shares(start, stop, dw, dws, accumulate):
    """dws (threads, size) -> dw (size,), written or added to: the elements [start, stop)."""
    out = dw[start:stop]
    for t in range(dws.shape[0]):
        part, adds = dws[t, start:stop], t > 0 or accumulate
        for i in range(out.size):  # not by a slice: numba compiles a message for slices of other sizes, for a second
            out[i] = out[i] + part[i] if adds else part[i]
