"""Ctrl-C while compiled code is at work is Ctrl-C, whatever Python makes of it."""

from __future__ import annotations

import os
import signal
import threading

import numba
import numpy as np
import pytest

from omniopt.errors import is_interrupt


@numba.njit
def added_twice(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Take a while, and return more than one array: Python then hears of Ctrl-C too early."""
    total = np.zeros(1)
    for number in range(count):
        total[0] += np.sin(number)
    return total, total


def test_a_kernel_that_was_interrupted() -> None:
    # in the background of a shell Ctrl-C is ignored from the start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    added_twice(1)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises((KeyboardInterrupt, SystemError)) as caught:
        for _ in range(200):
            added_twice(50_000_000)
    signal.signal(signal.SIGINT, before)
    assert is_interrupt(caught.value)


def test_faults_are_no_interrupts() -> None:
    assert not is_interrupt(SystemError("unknown opcode"))
