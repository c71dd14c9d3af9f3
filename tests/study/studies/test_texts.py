"""Penalties and rules as settings say them."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.game import RULES
from npgan.study.studies.texts import penalties_of, rule_of


def test_penalties():
    assert penalties_of("none") == []
    assert penalties_of("r1 gamma=0.5 every=4")[0].every == 4
    assert penalties_of("wgan-gp one_sided=true")[0].one_sided
    norm = penalties_of("gradient-norm norm=inf points=real")[0]
    assert (norm.norm, norm.points) == (np.inf, "real")


def test_rules():
    for name in RULES:
        assert rule_of(name) == (name, {})
    assert rule_of("consensus gamma=0.5") == ("consensus", {"gamma": 0.5})
    assert rule_of("lookahead inner=simultaneous k=10") == ("lookahead", {"inner": "simultaneous", "k": 10})


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (penalties_of, "", 'penalty is \'\', expected a name and options such as "r1 gamma=0.1", or "none"'),
        (penalties_of, 1, "penalty is 1, expected a name"),
        (penalties_of, "none gamma=1", "penalty is 'none'"),
        (penalties_of, "r1 0.1", "penalty is 'r1 0.1', expected a name and options"),
        (penalties_of, "r1 gamma=nan", "gamma is nan, expected a finite number"),
        (rule_of, "consensus 0.5", "rule is 'consensus 0.5', expected a name and options"),
        (rule_of, "consensu", "did you mean 'consensus'"),
        (rule_of, "consensus gama=0.5", "rule 'consensus' has no option 'gama'; did you mean 'gamma'"),
        (rule_of, "consensus gamma=x", "gamma is 'x', expected a finite number"),
    ],
)
def test_nonsense(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read(text)
