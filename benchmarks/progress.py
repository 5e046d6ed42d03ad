"""How far a run is: one line that changes on a terminal, one line for each process elsewhere."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TextIO

BAR = 24  # characters


class Progress:
    """Counts the cases of all processes and says how many are done, and how long the rest may take."""

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self._total, self._done = total, 0
        self._stream, self._started = stream, perf_counter()
        self._changes = stream.isatty()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._write(f"\r\x1b[K{text}\n" if self._changes else f"{text}\n")

    def step(self, doing: str) -> None:
        """Count one case; `doing` says which."""
        self._done += 1
        if self._changes:
            filled = BAR * self._done // self._total
            bar = "#" * filled + "." * (BAR - filled)
            self._write(f"\r\x1b[K[{bar}] {self._done}/{self._total}, {self.left()}: {doing}")

    def left(self) -> str:
        """Return words for the time that the cases not yet done will take if they are like those done."""
        if not self._done:
            return "no estimate yet"
        seconds = (perf_counter() - self._started) * (self._total / self._done - 1)
        return f"about {seconds:.0f} s left" if seconds < 100 else f"about {seconds / 60:.0f} min left"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
