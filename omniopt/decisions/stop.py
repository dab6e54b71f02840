"""Ctrl-C while HiGHS is at work: it lets go at once, not only when it is done."""

from __future__ import annotations

import signal
import threading
from typing import Any

import highspy

_KIND = highspy.cb.HighsCallbackType
#: When HiGHS asks whether to go on.
ASKED = [_KIND.kCallbackMipInterrupt, _KIND.kCallbackSimplexInterrupt, _KIND.kCallbackIpmInterrupt]


class Stop:
    """Hears of Ctrl-C as long as it is open, and passes it on when it closes.

    Python would tell of it only once HiGHS has returned. Does nothing outside the main thread, where
    nobody hears of Ctrl-C, or where it is ignored.
    """

    def __init__(self) -> None:
        self.pressed = False
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
        """Tell HiGHS, which asks now and then, to stop if Ctrl-C was pressed."""
        if self.pressed:
            told.user_interrupt = True

    def _hear(self, *_: object) -> None:
        self.pressed = True
