"""The DHT22 (AM2302): five bytes from the wire become tenths of a degree and of a percent, or a cause."""

TIMEOUT, CHECKSUM, OUT_OF_RANGE = 1, 2, 3
CAUSES = (None, "timeout", "checksum", "out_of_range")

# AM2302 manual: measuring ranges, in tenths.
_TEMPERATURE_MIN, _TEMPERATURE_MAX, _HUMIDITY_MAX = -400, 800, 1000


def decode(frame):
    """Returns (cause, temperature, humidity); a cause of 0 means that the values are good."""
    if (frame[0] + frame[1] + frame[2] + frame[3]) & 255 != frame[4]:
        return CHECKSUM, 0, 0
    humidity = frame[0] << 8 | frame[1]
    temperature = (frame[2] & 127) << 8 | frame[3]
    if frame[2] & 128:
        temperature = -temperature
    if humidity > _HUMIDITY_MAX or not _TEMPERATURE_MIN <= temperature <= _TEMPERATURE_MAX:
        return OUT_OF_RANGE, 0, 0
    return 0, temperature, humidity


class Sensor:
    """read_into(frame) fills five bytes or raises OSError: machine.dht_readinto on the chip."""

    def __init__(self, read_into):
        self._read_into = read_into
        self._frame = bytearray(5)

    def read(self):
        try:
            self._read_into(self._frame)
        except OSError:
            return TIMEOUT, 0, 0
        return decode(self._frame)
