"""Parts of a job that threads take, a number each, from both ends: whoever asks first for a job, and who helps.

So where a job is followed by others like it, of the same rows of the same arrays, each thread finds those that it has
worked on in its own cache, and not in another core's. A part that nobody has come for goes to whoever is free.
"""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.compile import kernel
from npgan.kernels.atomic import load, store, swap

# A word of memory says whose turn it is: a number that is never the same again, how many parts the job has, and how
# many of them are taken from above and from below, in 40, 8, 8 and 8 bits.
MOST = 255


@kernel
def offer(word, parts):
    """Offer the parts of the next job; all that describes it has been written before."""
    store(word, ((load(word) >> 24) + 1) << 24 | parts << 16)


@kernel
def take(word, helps):
    """Take a part; return its number, or -1 where none is left.

    Only whoever has taken a part may read what describes the job: it stays as it is until all parts are done.
    """
    while True:
        turn = load(word)
        below, above, parts = turn & 255, turn >> 8 & 255, turn >> 16 & 255
        if below + above >= parts:
            return -1
        if swap(word, turn, turn + (256 if helps else 1)):
            return parts - 1 - above if helps else below
