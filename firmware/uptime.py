"""Milliseconds since the boot, beyond the wrap of ticks_ms."""


class Uptime:
    """ticks_ms wraps after 12.4 days; asked at least every 6 days, this doesn't."""

    def __init__(self, ticks_ms, ticks_diff):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._ms = 0

    def ms(self):
        now = self._ticks_ms()
        self._ms += self._ticks_diff(now, self._last)
        self._last = now
        return self._ms
