"""The body of one request (JSON), built in one buffer that is kept."""
from dht22 import CAUSES
from suspicion import FLAGS

BODY_BYTES = 7168
READINGS_MAX = 64  # of some 90 bytes each
_READING_BYTES_MAX = 128


def tenths(value):
    """-5 becomes -0.5: text, as the ESP32's floats have 24 bits only."""
    sign = "-" if value < 0 else ""
    value = abs(value)
    return "%s%d.%d" % (sign, value // 10, value % 10)


def quoted(text):
    """JSON text; control characters can't be in a checked setting."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def reading(slot, unix_ms):
    """One slot as JSON."""
    if slot.code:
        return '{"seq":%d,"ts":%d,"error":"%s"}' % (slot.seq, unix_ms, CAUSES[slot.code])
    flag = ',"flag":"%s"' % FLAGS[slot.flag] if slot.flag else ""
    values = (slot.seq, unix_ms, tenths(slot.temperature), tenths(slot.humidity), flag)
    return '{"seq":%d,"ts":%d,"temperature_c":%s,"humidity_pct":%s%s}' % values


class Body:
    """Bytes up to `length` of `buffer`."""

    def __init__(self):
        self.buffer = bytearray(BODY_BYTES)
        self.length = 0

    def _add(self, text):
        data = text.encode()
        self.buffer[self.length : self.length + len(data)] = data
        self.length += len(data)

    def write(self, device, every_ms, selection, synced, pending_since, lost):
        """Writes a batch of Contract 1. selection: see backlog.py; lost: [boot, from, to, reason] of the same boot."""
        self.length = 0
        self._add('{"device":%s,"boot":%d,"every_ms":%d' % (quoted(device), selection.boot, every_ms))
        self._add(',"synced":%s' % ("true" if synced else "false"))
        self._add(',"pending_since":%s' % ("null" if pending_since is None else "%d" % pending_since))
        if selection.previous:
            self._add(',"previous":{"boot":%d,"slots":%d}' % selection.previous)
        spans = ['{"from":%d,"to":%d,"reason":"%s"}' % (first, last, why) for _, first, last, why in lost]
        self._add(',"lost":[%s],"readings":[' % ",".join(spans))
        separator = ""
        for slot, unix_ms in selection.slots:
            self._add(separator + reading(slot, unix_ms))
            separator = ","
        self._add("]}")

    def bytes(self):
        return memoryview(self.buffer)[: self.length]
