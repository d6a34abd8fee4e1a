"""Asks NTP as soon as there is a network, then every hour; without NTP, the Date of an HTTP answer is a start."""
import asyncio
import ntp_client
from http_client import header, reason_of, text_of
from status import say
from micropython import const

_HOUR_MS = const(3600000)
_RETRY_MS = const(5000)
_LONGEST_RETRY_MS = const(600000)
_NTP_TRIES = const(2)  # before the web server is asked
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def days_before(year, month, day):
    """Days from 1970-01-01 to a date (proleptic Gregorian; the algorithm counts years from March)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


def http_date_ms(text):
    """Unix milliseconds of an HTTP date in lower case, or None; the middle of its second.

    RFC 9110: "Sun, 06 Nov 1994 08:49:37 GMT"."""
    parts = text.split(" ")
    try:
        _, day, month, year, clock = parts[:5]
        hour, minute, second = [int(part) for part in clock.split(":")]
        days = days_before(int(year), _MONTHS.index(month) + 1, int(day))
    except ValueError:
        return None
    return ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + 500


class TimeSource:
    """learn(unix_ms, uptime_ms, from_ntp): see timekeeper.py; true if it took the time."""

    def __init__(self, host, path, resolver, client, clock, link, uptime_ms, learn):
        self._host = host
        self._path = path
        self._resolver = resolver
        self._client = client
        self._clock = clock
        self._link = link
        self._uptime_ms = uptime_ms
        self._learn = learn

    async def run(self):
        failures = 0
        while True:
            await self._link.until_up()
            if await self._ask_ntp():
                failures = 0
                await asyncio.sleep_ms(_HOUR_MS)
                continue
            failures += 1
            if (failures >= _NTP_TRIES or not self._host) and not self._clock.known():
                await self._ask_web()
            await asyncio.sleep_ms(min(_LONGEST_RETRY_MS, _RETRY_MS << min(failures, 7)))

    async def _ask_ntp(self):
        if not self._host:
            return False
        try:
            address = await self._resolver.resolve(self._host)
            unix_ms, at_ms = await ntp_client.ask(address, self._uptime_ms)
        except OSError:
            say("ntp", ("why", "%s does not answer" % self._host))
            return False
        if not self._learn(unix_ms, at_ms, True):
            say("ntp", ("why", "%s tells an impossible time" % self._host))
            return False
        return True

    async def _ask_web(self):
        try:
            answer = await self._client.request("GET", self._path, "", b"")
        except OSError as error:
            say("no_answer", ("why", reason_of(error)), ("asked_for", "the time"))
            return
        unix_ms = http_date_ms(text_of(header(answer.headers, b"date")))
        if unix_ms is not None:
            self._learn(unix_ms)
