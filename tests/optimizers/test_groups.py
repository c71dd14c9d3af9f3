from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import ConfigError
from npgan.optimizers import Group, Segment, get_optimizer, segments

NAMES = {"0/weight": (0, 6), "0/bias": (6, 8), "1/gamma": (8, 10), "1/beta": (10, 12)}


def test_without_groups_there_is_one_segment():
    assert segments(5) == (Segment(0, 5),)
    assert segments(5, [], weight_decay=0.1) == (Segment(0, 5, weight_decay=0.1),)
    assert segments(5, [Group([(0, 2)]), Group([(2, 5)])]) == (Segment(0, 5),)
    assert segments(0) == ()


def test_patterns_ranges_and_the_rest():
    groups = [Group("1/*", weight_decay=0.0), Group([(0, 2)], frozen=True), Group(lr=0.5)]
    assert segments(12, groups, NAMES, 0.01) == (
        Segment(0, 2, 1.0, 0.01, frozen=True),
        Segment(2, 8, 0.5, 0.01),
        Segment(8, 12, 1.0, 0.0),
    )


def test_groups_come_from_tables():
    tables = [{"ranges": "*/weight", "lr": 2}, {"weight_decay": 0.5}]
    assert segments(12, tables, NAMES) == (Segment(0, 6, 2), Segment(6, 12, 1.0, 0.5))
    optimizer = get_optimizer("adam", 12, names=NAMES, groups=tables)
    assert [segment.stop for segment in optimizer.segments] == [6, 12]


@given(st.data())
def test_segments_give_every_weight_its_group(data):
    size = data.draw(st.integers(1, 20))
    owner = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    lrs = [1.0, data.draw(st.sampled_from([1.0, 0.5])), 2.0]
    groups = [Group([(i, i + 1) for i in range(size) if owner[i] == k], lr=lrs[k]) for k in range(3)]
    if data.draw(st.booleans()):
        groups[2] = Group(lr=2.0)
    found = segments(size, data.draw(st.permutations(groups)))
    assert [segment.start for segment in found] == [0, *(segment.stop for segment in found[:-1])]
    assert found[-1].stop == size
    np.testing.assert_array_equal(
        np.concatenate([np.full(s.stop - s.start, s.lr) for s in found]), [lrs[k] for k in owner]
    )
    assert all(left.lr != right.lr for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([Group([(0, 7)]), Group([(6, 12)])], "groups overlap: weights 6 to 6"),
        ([Group([(0, 12)]), Group([(3, 4)])], "groups overlap: weights 3 to 3"),
        ([Group("0/*"), Group("*/bias"), Group()], "groups overlap: weights 6 to 7"),
        ([Group([(0, 6)]), Group([(8, 12)])], "leave weights 6 to 7 of 12 out"),
        ([Group([(0, 6)])], "leave weights 6 to 11 of 12 out"),
        ([Group([(0, 13)])], "is not in a vector of 12"),
        ([Group([(4, 3)]), Group()], "is not in a vector of 12"),
        ([Group([3]), Group()], "ranges has 3"),
        ([Group(), Group(lr=2)], "two of them have no ranges"),
        ([Group("2/*"), Group()], "fits no parameter"),
        ([{"rangs": "0/*"}], "did you mean 'ranges'"),
        ([3], "groups has 3"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, words):
    with pytest.raises(ConfigError, match=words):
        segments(12, groups, NAMES)


def test_values_out_of_range_are_refused():
    for options in ({"lr": -1}, {"lr": np.nan}, {"weight_decay": -1}, {"frozen": 1}):
        with pytest.raises(ConfigError, match=f"group: {next(iter(options))} is"):
            Group(**options)
    with pytest.raises(ConfigError, match="was not told the parameters' names"):
        segments(12, [Group("0/*"), Group()])
