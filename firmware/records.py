"""What lies in a segment of the flash ring: a header and records of 20 bytes, each with its CRC-32.

A segment is one block of the file system (4,096 bytes): 64 bytes of header and 200 records. A record is a slot (what
was measured, or why nothing was) or an anchor (from here on, the time of day is the uptime plus this offset).
"""
from binascii import crc32
from struct import calcsize, pack_into, unpack_from
from micropython import const

RECORDS_MAX = 200
HEADER_BYTES = 64
RECORD_BYTES = 20
SLOT, ANCHOR = 1, 2
ESTIMATED, SYNCED = 1, 2  # quality of an offset; 0: none

_MAGIC = const(0x314F5349)  # "ISO1"
_HEADER = "<IQQIIQqB"
_SLOT = "<BBhHHIHH"
_ANCHOR = "<BBq"
_NO_SLOTS = const(0xFFFFFFFF)


class Header:
    """boot, previous (boot, slots) or None, first_seq, base_ms (uptime), offset_ms and its quality."""

    def __init__(self, boot, previous, first_seq, base_ms, offset_ms, quality):
        self.boot = boot
        self.previous = previous
        self.first_seq = first_seq
        self.base_ms = base_ms
        self.offset_ms = offset_ms
        self.quality = quality

    def pack(self):
        buf = bytearray(HEADER_BYTES)
        previous_boot, previous_slots = self.previous or (0, _NO_SLOTS)
        values = (previous_boot, previous_slots, self.first_seq, self.base_ms, self.offset_ms or 0, self.quality)
        pack_into(_HEADER, buf, 0, _MAGIC, self.boot, *values)
        _seal(buf, HEADER_BYTES)
        return buf


def unpack_header(buf):
    """The header in buf, or None when it is torn."""
    if not _sealed(buf, HEADER_BYTES):
        return None
    magic, boot, previous_boot, previous_slots, first_seq, base_ms, offset_ms, quality = unpack_from(_HEADER, buf, 0)
    if magic != _MAGIC:
        return None
    previous = None if previous_slots == _NO_SLOTS else (previous_boot, previous_slots)
    return Header(boot, previous, first_seq, base_ms, offset_ms if quality else None, quality)


def pack_slot(buf, code, flag, temperature, humidity, seq_delta, uptime_delta, tail_distance, tail_index):
    kinds = code | flag << 4
    pack_into(_SLOT, buf, 0, SLOT, kinds, temperature, humidity, seq_delta, uptime_delta, tail_distance, tail_index)
    _seal(buf, RECORD_BYTES)


def pack_anchor(buf, offset_ms, quality):
    for i in range(RECORD_BYTES):
        buf[i] = 0
    pack_into(_ANCHOR, buf, 0, ANCHOR, quality, offset_ms)
    _seal(buf, RECORD_BYTES)


def kind_of(buf):
    """SLOT, ANCHOR, or 0 for a torn record."""
    return buf[0] if _sealed(buf, RECORD_BYTES) and buf[0] in (SLOT, ANCHOR) else 0


def unpack_slot(buf):
    """(code, flag, temperature, humidity, seq_delta, uptime_delta, tail_distance, tail_index)"""
    fields = unpack_from(_SLOT, buf, 0)
    return (fields[1] & 15, fields[1] >> 4) + fields[2:]


def unpack_anchor(buf):
    """(quality, offset_ms)"""
    return unpack_from(_ANCHOR, buf, 0)[1:]


def _seal(buf, size):
    pack_into("<I", buf, size - 4, crc32(memoryview(buf)[: size - 4]) & 0xFFFFFFFF)


def _sealed(buf, size):
    return unpack_from("<I", buf, size - 4)[0] == crc32(memoryview(buf)[: size - 4]) & 0xFFFFFFFF


assert calcsize(_HEADER) <= HEADER_BYTES - 4 and calcsize(_SLOT) == RECORD_BYTES - 4
