"""The body of one request (JSON), built in one buffer that is kept."""
from dht22 import CAUSES
from suspicion import FLAGS

BODY_BYTES = 5120
READINGS_MAX = 48  # of some 90 bytes each


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

    def __init__(self, device, every_ms):
        self.buffer = bytearray(BODY_BYTES)
        self.length = 0
        self._device = quoted(device)
        self._every_ms = every_ms
        self._head = b""  # what stays the same for a boot
        self._head_of = None

    def _add(self, data):
        self.buffer[self.length : self.length + len(data)] = data
        self.length += len(data)

    def write(self, selection, synced, pending_since, lost):
        """Writes a batch of Contract 1. selection: see backlog.py; lost: [boot, from, to, reason] of the same boot."""
        self.length = 0
        self._write_head(selection, synced)
        self._add(("%d" % pending_since).encode() if pending_since is not None else b"null")
        if selection.previous:
            self._add((',"previous":{"boot":%d,"slots":%d}' % selection.previous).encode())
        self._add(b',"lost":[')
        if lost:
            spans = ['{"from":%d,"to":%d,"reason":"%s"}' % (first, last, why) for _, first, last, why in lost]
            self._add(",".join(spans).encode())
        self._add(b'],"readings":[')
        first = True
        for slot, unix_ms in selection.slots:
            if not first:
                self._add(b",")
            self._add(reading(slot, unix_ms).encode())
            first = False
        self._add(b"]}")

    def _write_head(self, selection, synced):
        if self._head_of != (selection.boot, synced):
            word = "true" if synced else "false"
            values = (self._device, selection.boot, self._every_ms, word)
            self._head = ('{"device":%s,"boot":%d,"every_ms":%d,"synced":%s,"pending_since":' % values).encode()
            self._head_of = (selection.boot, synced)
        self._add(self._head)

    def bytes(self):
        return memoryview(self.buffer)[: self.length]
