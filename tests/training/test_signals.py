import os
import signal
import threading

import pytest

from npgan.training.signals import StopSignals


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def _not_ignored():
    """Tests that a shell runs in the background are born with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_flag(number):
    before = handlers()
    with StopSignals() as stop:
        assert not stop.requested
        assert stop.name == ""
        signal.raise_signal(number)
        assert stop.requested
        assert stop.name == number.name
    assert handlers() == before
    assert stop.requested


def test_a_real_signal_from_outside():
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.name == "SIGTERM"


def test_the_second_sigint_interrupts_and_handlers_come_back():
    before = handlers()
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_sigint_after_sigterm_is_the_first_one():
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert stop.name == "SIGTERM"


def test_handlers_come_back_after_an_error_and_when_nested():
    before = handlers()
    with StopSignals() as outer:
        with pytest.raises(ZeroDivisionError), StopSignals() as inner:
            raise signal.raise_signal(signal.SIGINT) or ZeroDivisionError
        assert inner.requested
        assert not outer.requested
        signal.raise_signal(signal.SIGINT)
        assert outer.requested
    assert handlers() == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.requested
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_gets_a_flag_that_stays_down():
    before, seen = handlers(), []

    def work():
        with StopSignals() as stop:
            seen.append((stop.requested, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
