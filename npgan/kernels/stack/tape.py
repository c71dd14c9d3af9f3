"""The language in which a sweep through a dense stack is written down: one row of integers an instruction.

All arrays are pieces of a few flat vectors, so an instruction names an array by the number of its first element:

    memory      the Pass's arrays; an array of r rows a sample of n features has sample s at offset + s r n
    theta       the weights
    direction   rtheta, a direction of the weights
    target      the part of dtheta or rdtheta that the tape writes to, or adds to

A tape is run for a range of samples, so one that writes only to `memory` can be divided at will. Parts of `target` are
sums over samples: each thread has a partial sum of its own, and they are added in order at the end.

A reader may want weights the other way round: `TURNED` says where, in a vector of each thread's own, there is room for
those of a product with a transpose.
"""

from enum import IntEnum


class Code(IntEnum):
    """What an instruction does, with the columns that it reads."""

    PRODUCT = 0  # out (n) = in (k) · W (k, n), or W (n, k)ᵀ where `transposed`; added where `again`
    BEND = 1  # out (n) = φ(in (n) + b), b where `weight` is not -1
    UNBEND = 2  # out (n) = φ'(y) in (n), y the activation's output; where `weight` is not -1, target (n) += Σ out
    WEIGHT = 3  # target (k, n) += in (k)ᵀ other (n), summed over samples
    SUM = 4  # target (n) += Σ in (n)
    ZERO = 5  # target (n) += 0: cleared where nothing is to be added to


class Column(IntEnum):
    """The columns of a tape."""

    CODE = 0
    ROWS = 1  # rows a sample
    K = 2
    N = 3
    OUT = 4  # in memory
    IN = 5
    OTHER = 6
    WEIGHT = 7  # in theta or direction, or in target
    DIRECTION = 8  # the weight is read from the direction, not from theta
    TRANSPOSED = 9
    AGAIN = 10  # add to what an earlier instruction of this tape wrote
    SLOPE = 11  # of the activation where x <= 0; the bits of a float64
    TURNED = 12  # in scratch, where `transposed`


WIDTH = len(Column)
