"""What follows from learning the time: slots get dates, the chip's clock is set, a clock far ahead ends the boot."""
from clock_sync import FIRST, NOTHING, REBOOT
from status import say


class Timekeeper:
    """clock: see clock_sync.py; stored is the sampler's Event; restart() and set_rtc(unix_ms) act on the chip."""

    def __init__(self, clock, backlog, uptime_ms, stored, restart, set_rtc):
        self._clock = clock
        self._backlog = backlog
        self._uptime_ms = uptime_ms
        self._stored = stored
        self._restart = restart
        self._set_rtc = set_rtc

    def learn(self, unix_ms, at_ms=None, from_ntp=False):
        """Takes a time of day that was told at uptime at_ms (now, if left out). True if it can be one."""
        now_ms = self._uptime_ms()
        outcome = self._clock.learn(unix_ms, now_ms if at_ms is None else at_ms, from_ntp)
        if outcome == REBOOT:
            say("clock_ahead", ("why", "the clock was more than a minute ahead: starting a new boot"))
            self._restart()
        elif outcome == FIRST:
            self._backlog.anchor(self._clock.offset_ms, now_ms)
            self._set_rtc(self._clock.unix_ms(now_ms))
            say("clock", ("unix_ms", self._clock.unix_ms(now_ms)), ("source", "ntp" if from_ntp else "http"))
            self._stored.set()
        return outcome != NOTHING
