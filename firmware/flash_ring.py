"""The backlog: a ring of segment files in flash, oldest first. See records.py for what lies in one.

A place in the ring is one number, segment * 256 + index of the record, so places compare as time does. Every slot is
flushed before the next one is taken; a power cut costs at most the slot being written. Only the oldest segment is ever
removed, and only when all of it was acknowledged, or when the ring is full (then its slots are reported as lost).
"""
import os
from records import HEADER_BYTES, RECORD_BYTES, RECORDS_MAX, SLOT
from records import kind_of, pack_anchor, pack_slot, unpack_header, unpack_slot

PLACES = 256  # places a segment, of which RECORDS_MAX are used


def segment_of(place):
    return place // PLACES


class Slot:
    """One slot as it is stored."""

    def __init__(self, seq, uptime_ms, code, flag, temperature, humidity):
        self.seq = seq
        self.uptime_ms = uptime_ms
        self.code = code
        self.flag = flag
        self.temperature = temperature
        self.humidity = humidity


class _Reader:
    """Yields (place, kind, record); kind is 0 for a torn record, and the record's buffer is used again."""

    def __init__(self, path, place):
        self._place = place
        self._buf = bytearray(RECORD_BYTES)
        try:
            self._file = open(path, "rb")
            self._file.seek(HEADER_BYTES + place % PLACES * RECORD_BYTES)
        except OSError:
            self._file = None  # the segment is gone

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._file:
            self._file.close()
            self._file = None

    def __iter__(self):
        return self

    def __next__(self):
        place = self._place
        if not self._file or place % PLACES >= RECORDS_MAX or self._file.readinto(self._buf) != RECORD_BYTES:
            raise StopIteration
        self._place = place + 1
        return place, kind_of(self._buf), self._buf


class FlashRing:
    def __init__(self, folder, segments_max):
        self._folder = folder
        self._segments_max = segments_max
        self._record = bytearray(RECORD_BYTES)
        self._file = None
        self._count = 0  # records in the newest segment
        self.header = None  # of the newest segment
        self.oldest = self.newest = 0  # segment numbers; none while oldest > newest
        self._find_segments()

    def _find_segments(self):
        try:
            os.mkdir(self._folder)
        except OSError:
            pass  # it is there already
        oldest, newest = None, -1
        for entry in os.ilistdir(self._folder):
            name = entry[0]
            if not name.endswith(".seg"):
                continue
            try:
                number = int(name[:-4], 16)
            except ValueError:
                continue
            oldest = number if oldest is None or number < oldest else oldest
            newest = number if number > newest else newest
        self.oldest = newest + 1 if oldest is None else oldest
        self.newest = newest

    def _path(self, number):
        return "%s/%08x.seg" % (self._folder, number)

    # ---- reading ----

    def header_of(self, number):
        """The header of a segment, or None if it is missing or torn."""
        if number == self.newest and self.header:
            return self.header
        buf = bytearray(HEADER_BYTES)
        try:
            with open(self._path(number), "rb") as file:
                return unpack_header(buf) if file.readinto(buf) == HEADER_BYTES else None
        except OSError:
            return None

    def records(self, place):
        """Reads records from place to the end of its segment; for a with statement, which closes the file."""
        return _Reader(self._path(segment_of(place)), place)

    def slot(self, header, buf):
        code, flag, temperature, humidity, seq_delta, uptime_delta, _, _ = unpack_slot(buf)
        return Slot(header.first_seq + seq_delta, header.base_ms + uptime_delta, code, flag, temperature, humidity)

    # ---- after a start ----

    def recover(self):
        """Returns (previous, tail): what the last boot was, with how many slots; and the oldest place still pending."""
        while self.newest >= self.oldest:
            header = self.header_of(self.newest)
            if header:
                return self._recover_from(header)
            self._remove(self.newest)  # its header was being written when the power went
            self.newest -= 1
        return None, (self.newest + 1) * PLACES

    def _recover_from(self, header):
        tail = self.oldest * PLACES
        slots = header.first_seq
        with self.records(self.newest * PLACES) as records:
            for _, kind, buf in records:
                if kind == SLOT:
                    fields = unpack_slot(buf)
                    slots = header.first_seq + fields[4] + 1
                    tail = max(tail, (self.newest - fields[6]) * PLACES + fields[7])
        if slots == 0:
            return header.previous, tail  # it took no slot, so it is as if it had never been
        return (header.boot, slots), tail

    # ---- writing ----

    def create(self, header):
        """Starts the next segment; OSError when there is no room."""
        self.close()
        number = self.newest + 1
        path = self._path(number)
        file = open(path, "wb")
        try:
            file.write(header.pack())
            file.flush()
        except OSError:
            file.close()
            os.remove(path)
            raise
        self._file = file
        self.header = header
        self.newest = number
        self._count = 0

    def full(self):
        """True when the newest segment takes no more records."""
        return self._count >= RECORDS_MAX

    def crowded(self):
        """True when another segment would be one too many."""
        return self.newest - self.oldest + 1 >= self._segments_max

    def next_place(self):
        """Where the next record goes."""
        return self.newest * PLACES + self._count

    def append_slot(self, slot, tail):
        """Stores a slot, and with it how far the ring is acknowledged (the oldest pending place)."""
        distance = self.newest - segment_of(tail)
        index = tail % PLACES
        if distance < 0:
            distance, index = 0, self._count
        header = self.header
        pack_slot(
            self._record, slot.code, slot.flag, slot.temperature, slot.humidity,
            slot.seq - header.first_seq, slot.uptime_ms - header.base_ms, distance, index,
        )
        return self._append()

    def append_anchor(self, offset_ms, quality):
        pack_anchor(self._record, offset_ms, quality)
        return self._append()

    def _append(self):
        place = self.next_place()
        self._file.write(self._record)
        self._file.flush()
        self._count += 1
        return place

    def remove_oldest(self):
        """Frees the oldest segment, never the newest: it says what the boot was."""
        if self.oldest < self.newest:
            self._remove(self.oldest)
            self.oldest += 1

    def _remove(self, number):
        try:
            os.remove(self._path(number))
        except OSError:
            pass  # gone already

    def close(self):
        if self._file:
            self._file.close()
            self._file = None
