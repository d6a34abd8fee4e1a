"""Values that a broken DHT22 makes up: still sent, but flagged."""
from micropython import const

NOTHING, STUCK, SATURATED, RESET_FRAME = 0, 1, 2, 3
FLAGS = (None, "stuck", "saturated", "reset_frame")

_STUCK_MS = const(3600000)  # no room keeps both tenths for an hour
_STUCK_SLOTS = const(120)


class Suspicion:
    def __init__(self):
        self._values = None
        self._since_ms = 0
        self._slots = 0

    def judge(self, temperature, humidity, uptime_ms):
        """Returns one of the numbers above for a good frame."""
        if (temperature, humidity) != self._values:
            self._values = (temperature, humidity)
            self._since_ms = uptime_ms
            self._slots = 0
        self._slots += 1
        if humidity == 10 and temperature == 10:
            return RESET_FRAME
        if humidity == 999:
            return SATURATED
        if self._slots > _STUCK_SLOTS and uptime_ms - self._since_ms >= _STUCK_MS:
            return STUCK
        return NOTHING
