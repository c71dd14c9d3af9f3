"""What stops a run before its last step: signals, time, callbacks, errors."""

import signal
import threading

import pytest

import npgan


@pytest.fixture
def interruptible():
    """Where the tests run in the background of a shell, it has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_end_of_the_step(interruptible, train, written, number, data_threads):
    whole = written(train("whole", steps=6).path)

    def interrupt(step, metrics, experiment):
        if step == 3:
            signal.raise_signal(number)

    run = train("a", steps=6, callbacks=[interrupt], data={"prefetch": 2})
    assert run.step == 3
    assert run.stopped_by == number.name
    assert run.config.steps == 6
    assert (run.path / "losses.png").exists()
    assert [row["step"] for row in run.metrics()] == [2, 3]
    assert not data_threads()
    npgan.resume(run.path, quiet=True)
    found = written(run.path)
    assert {name: found[name] for name in whole} == whole


def test_a_second_sigint_stops_at_once(interruptible, train, written, tmp_path, data_threads):
    def interrupt(step, metrics, experiment):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train("a", steps=6, callbacks=[interrupt], data={"prefetch": 2})
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not data_threads()
    assert npgan.Run(tmp_path / "a").step == 2
    run = npgan.resume(tmp_path / "a", quiet=True)
    assert written(run.path) == written(train("whole", steps=6).path)


def test_max_time_and_callbacks_that_say_stop(train):
    assert train("a", steps=9, max_time=0.0).step == 1
    assert train("b", steps=9, max_time=1e9).step == 9
    calls = []

    def note(step, metrics, experiment):
        calls.append((step, set(metrics), experiment.config.steps))

    run = train("c", steps=9, callbacks=[lambda step, metrics, experiment: step == 3, note])
    assert run.step == 3
    assert run.stopped_by == ""
    assert [call[0] for call in calls] == [1, 2, 3]  # the others hear of the last step too
    assert calls[0][1:] == (set(run.metrics()[0]) - {"step"}, 9)


def test_an_error_in_a_callback(train, tmp_path, unlocked, data_threads):
    def fail(step, metrics, experiment):
        if step == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train("a", steps=9, callbacks=[fail], data={"prefetch": 2}, log={"tensorboard": True})
    assert not data_threads()
    assert unlocked(tmp_path / "a")
    assert npgan.Run(tmp_path / "a").step == 2


def test_a_thread_that_is_not_the_main_one(train):
    found = []
    thread = threading.Thread(target=lambda: found.append(train("a", steps=2)))
    thread.start()
    thread.join()
    assert found[0].step == 2


def test_on_start_sees_all_that_is_ready(train):
    seen = []

    def look(experiment, folder):
        seen.append((experiment.generator.name, folder.config_path.exists(), folder.metrics_path.exists()))

    train("a", steps=1, on_start=look)
    assert seen == [("G", True, False)]
