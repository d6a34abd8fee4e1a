# time as on the ESP32: the epoch is 2000-01-01, the clock runs from 0 at power-up, sleeping lets virtual time pass.
# ticks_ms, ticks_us, ticks_diff and ticks_add stay the C ones.
from utime import *
from utime import gmtime as _gmtime, mktime as _mktime
import host as _host

_UNIX_2000 = 946684800


def sleep_ms(ms):
    if ms > 0:
        _host.block(int(ms), 0, 0)


def sleep(seconds):
    sleep_ms(int(seconds * 1000))


def sleep_us(us):
    sleep_ms((us + 999) // 1000)


def time():
    return _host.rtc()


def time_ns():
    return _host.rtc() * 1000000000


def gmtime(seconds=None):
    return _gmtime((_host.rtc() if seconds is None else seconds) + _UNIX_2000)


localtime = gmtime


def mktime(parts):
    return int(_mktime(parts)) - _UNIX_2000
