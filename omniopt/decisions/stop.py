"""Letting go of HiGHS before it is done: at once on Ctrl-C, or when it has tried for long enough."""

from __future__ import annotations

import signal
import threading
from math import inf
from typing import Any

import highspy

_KIND = highspy.cb.HighsCallbackType
#: When HiGHS asks whether to go on.
ASKED = [_KIND.kCallbackMipInterrupt, _KIND.kCallbackSimplexInterrupt, _KIND.kCallbackIpmInterrupt]


class Stop:
    """Hears of Ctrl-C as long as it is open, and passes it on when it closes.

    Python would tell of it only once HiGHS has returned. Does nothing outside the main thread, where
    nobody hears of Ctrl-C, or where it is ignored.

    Parameters
    ----------
    most : float
        How often HiGHS may ask whether to go on. Unlike seconds that is the same on any machine, and so
        is what HiGHS has found by then.
    """

    def __init__(self, most: float = inf) -> None:
        self.pressed, self.most, self.asked = False, most, 0
        self._before: Any = None

    def __enter__(self) -> Stop:
        main = threading.current_thread() is threading.main_thread()
        if main and callable(signal.getsignal(signal.SIGINT)):
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.pressed:
            raise KeyboardInterrupt

    def watch(self, highs: highspy.Highs) -> None:
        """Have HiGHS ask."""
        highs.setCallback(self.answer, None)
        for kind in ASKED:
            highs.startCallback(kind)

    def answer(self, kind: Any, message: str, out: Any, told: Any, data: Any) -> None:
        """Tell HiGHS, which asks now and then, to stop if Ctrl-C was pressed or it has asked too often."""
        self.asked += 1
        if self.pressed or self.asked > self.most:
            told.user_interrupt = True

    def _hear(self, *_: object) -> None:
        self.pressed = True
