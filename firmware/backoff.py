"""How long to wait after a failure: twice as long each time, never quite the same."""
from micropython import const

_FIRST_MS = const(1000)
_LONGEST_MS = const(60000)
_SERVER_MS_MAX = const(3600000)  # a server may ask for up to an hour


class Backoff:
    def __init__(self, random_below):
        self._random_below = random_below
        self._failures = 0

    def succeeded(self):
        self._failures = 0

    def failed(self, retry_after_ms=0):
        """Returns how long to wait: half to all of 1, 2, 4 … 60 s, and not before the server wants."""
        longest = min(_LONGEST_MS, _FIRST_MS << min(self._failures, 6))
        self._failures += 1
        wait_ms = longest // 2 + self._random_below(longest // 2 + 1)
        return max(wait_ms, min(retry_after_ms, _SERVER_MS_MAX) + self._random_below(1000) if retry_after_ms else 0)
