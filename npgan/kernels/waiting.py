"""Waiting for another thread without sleeping, and without the GIL."""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.compile import kernel
from npgan.kernels.atomic import give_way, load, pause

PATIENCE = 40_000  # looks, of some 25 nanoseconds: a millisecond
LOOKS = 128  # before the core is offered to others
_LINGER = 100  # looks after success: by then, whoever wrote the word has let go of the GIL


@kernel
def wait(looks):
    """Wait a moment; if the other thread has been put on this core, it cannot go on before this one lets it."""
    if looks % LOOKS == 0:
        give_way()
    else:
        pause()


@kernel
def watch(words, least):
    """Return when the first of the words is at least so much, or after a while."""
    at = words.ctypes.data
    for looks in range(1, PATIENCE):
        if load(at) >= least:
            for _ in range(_LINGER):
                pause()
            return
        wait(looks)
