"""Takes a slot on a fixed grid, whatever network and server do; every slot gets a seq, with values or with a cause."""
import asyncio
from batch import tenths
from dht22 import CAUSES, TIMEOUT
from status import say
from suspicion import FLAGS, Suspicion
from micropython import const

FIRST_MS = 1500  # AM2302 manual: after power-up the sensor wants one second of rest
_RETRY_MS = const(2000)  # AM2302 manual: time between two readings
_VALUES = '"temperature_c":%s,"humidity_pct":%s'
_PILE = const(6)  # slots that may wait before the lamp is lit
_HUNG_SLOTS = const(5)
_POWER_OFF_MS = const(1000)
_SLACK_MS = const(100)  # what a correction of the clock may take from an interval
_NAP_MS = const(15000)  # the watchdog is fed at least so often


def next_slot(last_ms, now_ms, every_ms, offset_ms):
    """Uptime of the slot after the one at last_ms: a multiple of every_ms of the time of day, of the uptime before it
    is known. Slots that have passed meanwhile are skipped; two are never much closer than the 2 s that the sensor
    needs, nor than half an interval."""
    offset = offset_ms or 0
    apart_ms = max(every_ms // 2, min(_RETRY_MS, every_ms - _SLACK_MS))
    earliest = max(last_ms + apart_ms, now_ms)
    return (earliest + offset + every_ms - 1) // every_ms * every_ms - offset


class Sampler:
    """sensor: see dht22.py; feed(): the watchdog; stored: an asyncio.Event, set after each slot; power(on) switches the
    sensor's supply, None if it hangs on the board's; lamp(on) is lit while the sensor fails or slots pile up."""

    def __init__(self, sensor, backlog, clock, uptime_ms, every_ms, feed, stored, power=None, lamp=None):
        self._sensor = sensor
        self._backlog = backlog
        self._clock = clock
        self._uptime_ms = uptime_ms
        self._every_ms = every_ms
        self._feed = feed
        self._stored = stored
        self._suspicion = Suspicion()
        self._power = power
        self._lamp = lamp
        self._failures = 0  # slots without an answer, in a row

    async def run(self):
        at_ms = self._uptime_ms() + FIRST_MS
        while True:
            await self._sleep_until(at_ms)
            if self._clock.advance():
                self._backlog.anchor(self._clock.offset_ms, self._uptime_ms())
            await self._take(self._uptime_ms())
            at_ms = next_slot(at_ms, self._uptime_ms(), self._every_ms, self._clock.offset_ms)

    async def _sleep_until(self, at_ms):
        while True:
            self._feed()
            left_ms = at_ms - self._uptime_ms()
            if left_ms <= 0:
                return
            await asyncio.sleep_ms(min(left_ms, _NAP_MS))

    def _note(self, code):
        """A sensor that has stopped answering may be hung: only taking its power away cures that."""
        self._failures = self._failures + 1 if code == TIMEOUT else 0
        if self._power and self._failures and self._failures % _HUNG_SLOTS == 0:
            asyncio.create_task(self._cycle_power())

    async def _cycle_power(self):
        say("sensor_power_cycle", ("failed_slots", self._failures))
        self._power(0)
        await asyncio.sleep_ms(_POWER_OFF_MS)
        self._power(1)

    async def _take(self, taken_ms):
        code, temperature, humidity = self._sensor.read()
        if code:
            await self._sleep_until(taken_ms + min(_RETRY_MS, self._every_ms // 2))
            code, temperature, humidity = self._sensor.read()
        flag = 0 if code else self._suspicion.judge(temperature, humidity, taken_ms)
        self._note(code)
        seq = self._backlog.store(taken_ms, code, flag, temperature, humidity)
        self._stored.set()
        pending = self._backlog.size()
        if self._lamp:
            self._lamp(1 if code or pending > _PILE else 0)
        what = '"error":"%s"' % CAUSES[code] if code else _VALUES % (tenths(temperature), tenths(humidity))
        if flag:
            what += ',"flag":"%s"' % FLAGS[flag]
        print('{"event":"sample","seq":%d,%s,"pending":%d}' % (seq, what, pending))
