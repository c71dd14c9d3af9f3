import io

import pytest

from npgan.training.progress import Progress

VALUES = {"loss_d": 0.69314, "loss_g": 0.721, "score_real": 0.5, "grad_norm_d": 1234.5, "grad_norm_g": 0.00012}


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "110")
    return Terminal()


def run(progress, clock, seconds, steps, values=VALUES):
    for step in steps:
        clock.now += seconds
        progress.update(step, values)


def test_a_log_gets_a_line_now_and_then(clock):
    out = io.StringIO()
    with Progress(5000, stream=out, clock=clock) as progress:
        run(progress, clock, 0.025, range(1, 5001))
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == [
        "80/5000",
        "240/5000",
        "560/5000",
        "1200/5000",
        "2400/5000",
        "3600/5000",
        "4800/5000",
        "5000/5000",
    ]
    assert lines[0] == "step 80/5000  D 0.693  G 0.721  |gD| 1.2e+03  |gG| 0.00012  40.0 steps/s  eta 2:03"
    assert lines[-1].endswith("40.0 steps/s  eta 0:00")
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().isascii()


def test_the_speed_forgets_a_slow_start(clock):
    out = io.StringIO()
    with Progress(10_000, start=1000, stream=out, clock=clock) as progress:
        run(progress, clock, 60, range(1001, 1004))
        run(progress, clock, 0.1, range(1004, 3001))
    lines = out.getvalue().splitlines()
    assert "60.0 s/step" in lines[1]
    assert "10.0 steps/s" in lines[-1]


def test_the_first_step_compiles_and_says_nothing_of_the_others(clock):
    out = io.StringIO()
    with Progress(1000, start=500, stream=out, clock=clock) as progress:
        run(progress, clock, 60, [501])
        run(progress, clock, 8, [502])
    first, second = out.getvalue().splitlines()
    assert first == "step 501/1000  D 0.693  G 0.721  |gD| 1.2e+03  |gG| 0.00012"
    assert second.endswith("8.0 s/step  eta 1:06:24")


def test_time_left_ends_with_max_time(clock):
    out = io.StringIO()
    with Progress(10**6, max_time=100, stream=out, clock=clock) as progress:
        run(progress, clock, 1, range(1, 4))
    assert out.getvalue().splitlines()[0].endswith("1.0 steps/s  eta 1:38")


def test_quiet_says_nothing(clock):
    out = Terminal()
    with Progress(3, quiet=True, stream=out, clock=clock) as progress:
        run(progress, clock, 60, range(1, 4))
        progress.message("saved")
    assert out.getvalue() == ""


def test_messages_in_a_log(clock):
    out = io.StringIO()
    with Progress(3, stream=out, clock=clock) as progress:
        progress.message("resumed from step 2 [bold]")
    assert out.getvalue() == "resumed from step 2 [bold]\n"


def test_a_terminal_gets_a_live_line(clock, terminal):
    with Progress(500, stream=terminal, clock=clock) as progress:
        run(progress, clock, 0.025, range(1, 250))
        progress.message("saved [red]runs/one")
        run(progress, clock, 0.025, range(250, 501))
    text = terminal.getvalue()
    assert text.count("40.0 steps/s") > 20
    assert "saved [red]runs/one" in text
    last = text[text.rindex("step") - 200 :]
    for part in ("500/500", "D 0.693", "G 0.721", "|gD| 1.2e+03", "40.0 steps/s", "eta 0:00"):
        assert part in last
    assert "\x1b[?25h" in last  # the cursor is back


@pytest.mark.parametrize("columns", [40, 80])
def test_the_live_line_is_one_line_on_a_narrow_terminal(clock, terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    with Progress(5000, stream=terminal, clock=clock) as progress:
        run(progress, clock, 0.25, range(1, 10))
    text = terminal.getvalue()
    assert "\x1b[1A" not in text  # never up by a line
    assert "step 9/5000  4.0 steps/s  eta 20:48  D" in text
    assert ("|gD| 1.2e+03" in text) == (columns == 80)


def test_a_dumb_terminal_gets_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress(5, stream=terminal, clock=clock) as progress:
        run(progress, clock, 5, range(1, 6))
    assert terminal.getvalue().startswith("step 1/5  D 0.693")
    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("values", [{}, {"loss_d": float("nan"), "loss_penalty": float("inf"), "grad_norm_d": 0.0}])
def test_odd_values(clock, values):
    out = io.StringIO()
    with Progress(2, stream=out, clock=clock) as progress:
        run(progress, clock, 3, [1, 2], values)
    shown = "  D nan  penalty inf  |gD| 0.000" if values else ""
    assert out.getvalue() == f"step 1/2{shown}\nstep 2/2{shown}  3.0 s/step  eta 0:00\n"


def test_no_time_has_passed(clock):
    out = io.StringIO()
    with Progress(1, stream=out, clock=clock) as progress:
        progress.update(1, {"loss_d": 1.0})
        progress.update(1, {"loss_d": 1.0})
    assert out.getvalue() == "step 1/1  D 1.000\n"


def test_a_reader_that_has_gone_does_not_end_the_run(clock):
    with Progress(5, stream=Gone(), clock=clock) as progress:
        run(progress, clock, 5, range(1, 6))
        progress.message("saved")
