from __future__ import annotations

import json

import pytest

from npgan.layers import Tanh


def test_table(cli):
    result = cli("gradcheck", "Tanh", "hinge")
    assert result.code == 0
    for word in ("Tanh() on 11", "hinge real", "backward inputs", "rbackward inputs", "HVP", "contract", "15 of 15"):
        assert word in result.out
    assert "all agree" in result.out
    assert "WRONG" not in result.out


def test_json(cli):
    answer = cli("gradcheck", "dense", "--json", "--seed", "5").json
    assert answer["ok"] is True
    assert (answer["backend"], answer["dtype"], answer["seed"]) == ("cpu", "float64", 5)
    assert {check["group"] for check in answer["checks"]} == {"Dense"}
    assert {check["map"] for check in answer["checks"]} == {
        *("contract", "forward", "rforward", "HVP"),
        *("backward inputs", "backward parameters", "rbackward inputs", "rbackward parameters"),
    }
    rows = [row for check in answer["checks"] for row in check["rows"]]
    assert all(row["ok"] and row["error"] < 1e-9 for row in rows)
    assert {row["method"] for row in rows} >= {"complex step", "differences", "dot product", "linearity", "symmetry"}
    assert {each["order"] for each in answer["summary"]} == {"values", "first order", "second order"}


def test_float32(cli):
    answer = cli("gradcheck", "Dense", "--dtype", "float32", "--json").json
    assert answer["ok"] is True
    assert {row["method"] for check in answer["checks"] for row in check["rows"]} == {"reference", "contract"}


def test_what_falls_short_exits_with_1_and_says_how_to_see_it_again(cli, monkeypatch):
    right = Tanh.backward

    def wrong(self, f):
        right(self, f)
        if f.dx is not None:
            f.dx *= 1.001

    monkeypatch.setattr(Tanh, "backward", wrong)
    result = cli("gradcheck", "Tanh", "--seed", "2")
    assert result.code == 1
    assert "Tanh() on 11: WRONG dx             backward  by complex step" in result.out
    assert "see it again: npgan gradcheck Tanh --backend cpu --dtype float64 --seed 2" in result.out
    answer = cli("gradcheck", "Tanh", "--json")
    assert answer.code == 1
    assert json.loads(answer.out)["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Densse"], "did you mean Dense?"),
        (["Dense", "--backend", "tpu"], "--backend"),
        (["Dense", "--dtype", "float16"], "--dtype"),
        (["Dense", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_usage(cli, arguments, message):
    result = cli("gradcheck", *arguments)
    assert result.code == 2
    assert message in result.err


def test_self_test(cli):
    result = cli("gradcheck", "PixelShuffle", "--self-test")
    assert result.code == 0
    assert "29 of 29 planted faults were found" in result.out
    answer = cli("gradcheck", "wasserstein", "--self-test", "--json").json
    assert answer["ok"] is True
    assert answer["planted"] == answer["caught"] > 20


def test_a_survivor_exits_with_1(cli, monkeypatch):
    from npgan.gradcheck import selftest
    from npgan.gradcheck.checking import Findings

    monkeypatch.setattr(selftest, "check_function", lambda f, **options: Findings())
    result = cli("gradcheck", "PixelShuffle", "--self-test")
    assert result.code == 1
    assert "not found: PixelShuffle.backward: sign (dx)" in result.out
