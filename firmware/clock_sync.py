"""What time it is: an offset to the uptime, learned from NTP or from ingest's answers, and corrected gently.

Two slots of one boot never change places. The first time is taken as it is; later ones are approached by at most
40 ms a slot (so the grid never moves by more); a clock that turns out to be behind by more than a minute steps forward;
one that is ahead by more than a minute can only be cured by a new boot, which the caller has to start.
"""
from micropython import const

EARLIEST_MS = 1735689600000  # 2025-01-01: anything before is a clock that was never set
LATEST_MS = 4102444800000  # 2100-01-01
_NOISE_MS = const(20)
_SLEW_MS = const(40)
_STEP_MS = const(60000)
_NTP_HOLDS_MS = const(86400000)  # ingest's time is not asked for so long after NTP has answered

NOTHING, FIRST, LATER, REBOOT = 0, 1, 2, 3


class ClockSync:
    def __init__(self):
        self.offset_ms = None
        self._goal_ms = None
        self._ntp_at_ms = None
        self._ahead = 0  # how many times in a row the clock was found ahead

    def known(self):
        return self.offset_ms is not None

    def unix_ms(self, uptime_ms):
        return uptime_ms + self.offset_ms

    def learn(self, unix_ms, uptime_ms, from_ntp):
        """Takes a time in. Returns FIRST, LATER (a correction is under way), REBOOT or NOTHING."""
        if not EARLIEST_MS <= unix_ms < LATEST_MS:
            return NOTHING
        if from_ntp:
            self._ntp_at_ms = uptime_ms
        elif self._ntp_at_ms is not None and uptime_ms - self._ntp_at_ms < _NTP_HOLDS_MS:
            return NOTHING
        goal = unix_ms - uptime_ms
        if self.offset_ms is None:
            self.offset_ms = self._goal_ms = goal
            return FIRST
        error = goal - self.offset_ms
        if error < -_STEP_MS:
            self._ahead += 1
            return REBOOT if from_ntp or self._ahead > 1 else NOTHING
        self._ahead = 0
        if abs(error) >= _NOISE_MS:
            self._goal_ms = goal
        return LATER

    def advance(self):
        """Once a slot: moves the offset towards its goal. True if it moved."""
        if self.offset_ms is None or self._goal_ms == self.offset_ms:
            return False
        error = self._goal_ms - self.offset_ms
        if error <= _STEP_MS:
            error = max(-_SLEW_MS, min(_SLEW_MS, error))
        self.offset_ms += error
        return True
