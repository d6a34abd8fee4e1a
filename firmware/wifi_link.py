"""Keeps the board on Wi-Fi, and says why when it isn't."""
import asyncio
from status import say
from micropython import const

_CHECK_MS = const(10000)
_JOINING_MS = const(100)
_JOIN_MS = const(20000)  # after so long without an address, join anew
_REST_MS = const(1000)
_LONGEST_REST_MS = const(30000)


class WifiLink:
    """wlan: network.WLAN; reasons: {status: sentence} of the failures that have a name."""

    def __init__(self, wlan, ssid, key, reasons, uptime_ms):
        self._wlan = wlan
        self._ssid = ssid
        self._key = key
        self._reasons = reasons
        self._uptime_ms = uptime_ms
        self._up = asyncio.Event()

    def up(self):
        return self._up.is_set()

    async def until_up(self):
        await self._up.wait()

    def name_server(self):
        return self._wlan.ifconfig()[3]

    async def run(self):
        self._wlan.active(True)
        rest_ms = _REST_MS
        while True:
            if await self._join():
                rest_ms = _REST_MS
                while self._connected():
                    await asyncio.sleep_ms(_CHECK_MS)
                self._up.clear()
                say("wifi_down")
            self._leave()
            await asyncio.sleep_ms(rest_ms)
            rest_ms = min(_LONGEST_REST_MS, rest_ms * 2)

    def _connected(self):
        return self._wlan.isconnected() and self._wlan.ifconfig()[0] != "0.0.0.0"

    async def _join(self):
        try:
            self._wlan.connect(self._ssid, self._key)
        except OSError as error:  # "Wifi Internal Error", when the driver is busy
            say("wifi", ("why", "the radio is busy (%s)" % error))
            return False
        end_ms = self._uptime_ms() + _JOIN_MS
        while not self._connected():
            await asyncio.sleep_ms(_JOINING_MS)
            reason = self._reasons.get(self._wlan.status())
            if reason or self._uptime_ms() >= end_ms:
                say("wifi", ("why", reason or "no address within 20 s"))
                return False
        self._up.set()
        say("wifi_up", ("address", self._wlan.ifconfig()[0]))
        return True

    def _leave(self):
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it wasn't joined
