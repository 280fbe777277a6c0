"""A signal ends the wait whenever it comes: before it, at its beginning, during it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from settled.signals import INTERRUPTED, StopSignals
from tests.settled.command import ROOT

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def kill(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@BOTH
def test_a_signal_before_the_wait_is_not_lost(number: signal.Signals) -> None:
    with StopSignals() as signals:
        kill(number)
        signals.wait()


@BOTH
def test_a_signal_at_any_moment_ends_the_wait(number: signal.Signals) -> None:
    for _ in range(200):
        with StopSignals() as signals:
            other = threading.Thread(target=kill, args=(number,))
            other.start()
            signals.wait()
            other.join()


def test_a_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import os, signal\n"
        "from settled.signals import StopSignals\n"
        "with StopSignals() as signals:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signals.wait()\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        print('still here')\n"
    )
    ended = subprocess.run(  # noqa: S603 the program stands above
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "")


def test_afterwards_signals_are_handled_as_before() -> None:
    were = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        pass
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == were
