# machine on the unix port, as far as the firmware needs it: a chip with a sensor that always answers.
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


def reset():
    raise SystemExit("reset")


def reset_cause():
    return PWRON_RESET


def unique_id():
    return bytes(6)


class Pin:
    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP = 2

    def __init__(self, id, mode=-1, pull=-1, value=None):
        pass

    def __call__(self, level):
        pass


class WDT:
    def __init__(self, timeout):
        pass

    def feed(self):
        pass


class RTC:
    def datetime(self, parts):
        pass  # the machine's clock is right


def dht_readinto(pin, buf):
    buf[:] = bytes((1, 226, 0, 214, 185))  # 48.2 %, 21.4 °C
