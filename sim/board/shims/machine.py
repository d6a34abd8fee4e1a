# machine, as far as a sensor board needs it.
import host as _host
from uctypes import addressof as _addressof

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


def _rest_of_boot():
    while True:
        _host.block(-1, 0, 0)


def reset():
    _host.reset(HARD_RESET)
    _rest_of_boot()


def soft_reset():
    _host.reset(SOFT_RESET)
    _rest_of_boot()


def deepsleep(ms=0):
    if ms:
        _host.deep_sleep(ms)
    _rest_of_boot()


def lightsleep(ms=0):
    _host.block(ms, 0, 0)


def idle():
    _host.block(1, 0, 0)


def reset_cause():
    return _host.cause()


def unique_id():
    text = _host.unique_id()
    return bytes([int(text[i : i + 2], 16) for i in range(0, 12, 2)])


class Pin:
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_DOWN, PULL_UP = 1, 2

    def __init__(self, id, mode=-1, pull=-1, value=None):
        self.id = id
        self._mode, self._pull = Pin.IN, 0
        self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        if mode != -1:
            self._mode, self._pull = mode, 0
        if pull is None or pull != -1:
            self._pull = pull or 0
        if mode != -1 or pull != -1:
            _host.pin_mode(self.id, self._mode, self._pull)
        if value is not None:
            self.value(value)

    def value(self, *level):
        if not level:
            return _host.pin_read(self.id)
        _host.pin_write(self.id, 1 if level[0] else 0, 0)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


class WDT:
    def __init__(self, id=0, timeout=5000):
        _host.watchdog(timeout)

    def feed(self):
        _host.feed()


class RTC:
    def datetime(self, *parts):
        import time

        if not parts:
            now = time.gmtime()
            return (now[0], now[1], now[2], now[6], now[3], now[4], now[5], 0)
        year, month, day, _, hour, minute, second, _ = parts[0]
        _host.rtc_set(time.mktime((year, month, day, hour, minute, second, 0, 0)))

    def memory(self, *data):
        if data:
            content = bytes(data[0])
            return _host.rtc_memory_set(_addressof(content) if content else 0, len(content))
        text = _host.rtc_memory()
        return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])


_DHT_READ_MS = 273  # 250 ms high, 18 ms low, 5 ms of answer (drivers/dht/dht.c)


def dht_readinto(pin, buf):
    _host.pin_mode(pin.id, Pin.OPEN_DRAIN, pin._pull)
    error = _host.dht(pin.id, _addressof(buf))
    _host.block(_DHT_READ_MS, 0, 0)
    if error:
        raise OSError(error)
