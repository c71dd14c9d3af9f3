"""``npgan study`` from the command line."""

from npgan.study.studies import STUDIES

TINY = ("--set", "steps=5", "--set", "grid=3", "--set", "rules=simultaneous,alternating")


def test_list_and_show(cli):
    text = cli("study").out
    for name, study in STUDIES.items():
        assert name in text
        assert study.summary in text
    assert {each["name"] for each in cli("study", "--json").json} == set(STUDIES)
    shown = cli("study", "dirac", "--show", "--set", "lr=0.1").out
    assert "lr       0.1" in shown
    assert cli("study", "dirac", "--show", "--json").json["gammas"] == [0.3, 1.0]


def test_run_and_repeat(cli, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    result = cli("study", "bilinear", *TINY, "--set", "rates=2", "--out", first)
    assert result.code == 0
    assert "takes about" in result.out
    assert "The bilinear game" in result.out
    assert "Repeat it with" in result.out
    again = cli("study", "--config", first / "config.toml", "--out", second, "--json")
    assert again.json["text"] in result.out
    for file in again.json["files"]:
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_on_a_gpu(cli, cupy, tmp_path):
    tiny = [f"--set={text}" for text in ("width=2", "depth=1", "batch=4", "steps=2", "checkpoints=2", "losses=hinge")]
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli("study", "saturation", *tiny, "--backend", "gpu", "--out", first, "--quiet").code == 0
    config = (first / "config.toml").read_text()
    assert config.count('backend = "gpu"') == 2  # among the settings, and in what describes the environment
    again = cli("study", "--config", first / "config.toml", "--out", second)
    assert again.code == 0
    assert "bits may differ" not in again.out
    assert (first / "numbers.json").read_bytes() == (second / "numbers.json").read_bytes()
    assert (
        cli("study", "--config", first / "config.toml", "--backend", "cpu", "--show", "--json").json["backend"] == "cpu"
    )


def test_quiet(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("study", "bilinear", *TINY, "--set", "rates=2", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (tmp_path / "runs/study-bilinear/numbers.json").is_file()


def test_how_far_a_long_one_is(cli, tmp_path):
    tiny = [f"--set={text}" for text in ("steps=2", "looks=1", "changes=width=8", "penalties=")]
    told = cli("study", "modes", *tiny, "--set=seeds=2", "--out", tmp_path / "told").out
    for run in ("preset, seed 0", "preset, seed 1", "plain GAN, seed 0", "plain GAN, seed 1"):
        assert f"  {run}: " in told
    quiet = cli("study", "modes", *tiny, "--set=seeds=1", "--quiet", "--out", tmp_path / "quiet")
    assert (quiet.out, quiet.err) == ("", "")  # and what the first one said with is gone


def test_stopped(cli, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("npgan.study.studies.smallest.get_rule", stop)
    result = cli("study", "bilinear", *TINY, "--out", tmp_path / "out")
    assert result.code == 1
    assert "stopped at once; nothing was written" in result.err
    assert not (tmp_path / "out").exists()


def test_mistakes(cli, tmp_path):
    unknown = cli("study", "dirca")
    assert unknown.code == 2
    assert "study is 'dirca'; did you mean 'dirac'? expected one of dirac, bilinear" in unknown.err
    for arguments, message in (
        (("dirac", "--set", "lt=1"), "has no setting 'lt'"),
        (("dirac", "--set", "lr"), "is not key=value"),
        (("dirac", "--seed", "1"), "nothing in it is random"),
        (("bilinear", "--backend", "gpu"), "study bilinear has no setting 'backend': its game is a formula"),
        (("dirac", "--set", "lr=fast"), "expected a finite number"),
        (("landscape", "--set", "lr=nan"), "lr is nan, expected a finite number"),
        (("--config", tmp_path / "none.toml"), "cannot read"),
    ):
        result = cli("study", *arguments, "--out", tmp_path / "out")
        assert (result.code, result.out) == (2, "")
        assert message in result.err
        assert not (tmp_path / "out").exists()
    option = cli("study", "bilinear", "--set", "rules=consensus gama=1", "--out", tmp_path / "out")
    assert option.code == 2
    assert "rule 'consensus' has no option 'gama'; did you mean 'gamma'" in option.err
    assert not (tmp_path / "out").exists()
    other = cli("study", "bilinear", *TINY, "--set", "rates=2", "--out", tmp_path / "there", "--quiet")
    assert other.code == 0
    result = cli("study", "dirac", "--config", tmp_path / "there/config.toml")
    assert result.code == 2
    assert "is of the study bilinear, not of dirac" in result.err
