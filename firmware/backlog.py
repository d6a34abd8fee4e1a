"""Store and forward: slots go in, batches come out, a 2xx frees them.

The time of a slot is its uptime plus the offset in force when it was taken; slots from before the boot's first offset
use that first one. So a slot's time never changes once it can be told, whoever asks and after any restart: a batch that
is sent twice is the same twice. A boot that never learned the time is dated to end where the next boot began.
"""
import asyncio
from flash_ring import PLACES, Slot, segment_of
from records import ANCHOR, ESTIMATED, Header, RECORDS_MAX, SLOT, SYNCED, unpack_anchor
from micropython import const

FRESH_MAX = 4  # slots that go ahead of a backlog in one request
_HINTS_MAX = const(4)
_BASE_BEFORE_MS = const(60000)  # a slot is stored a little after it was taken


class Selection:
    """What one request carries: [start, end) of the ring and the slots in it with their times."""

    def __init__(self, header, start, quality):
        self.boot = header.boot
        self.previous = header.previous
        self.start = self.end = start
        self.quality = quality
        self.slots = []  # (slot, unix_ms)


class Backlog:
    def __init__(self, ring, pending, lost, boot, previous, uptime_ms):
        self._ring = ring
        self.pending = pending
        self._lost = lost
        self.boot = boot
        self.previous = previous
        self.next_seq = 0
        self.offset_ms = None  # in force now
        self.first_offset_ms = None
        self._last = None  # (place, slot) of the newest slot
        self._hints = []  # (place, offset): where reading stopped, and the offset there
        self._dated = None  # (boot, offset, quality) of the boot dated last
        self._since = None  # (place, unix_ms) of the last answer of pending_since
        self._begin_segment(uptime_ms)
        pending.grow(ring.next_place())

    # ---- writing ----

    def store(self, uptime_ms, code, flag, temperature, humidity):
        """Stores the next slot; it is durable when this returns. Returns its seq."""
        slot = Slot(self.next_seq, uptime_ms, code, flag, temperature, humidity)
        self._write(uptime_ms, lambda: self._ring.append_slot(slot, self.pending.tail()))
        self.next_seq += 1
        self._last = (self._ring.next_place() - 1, slot)
        return slot.seq

    def anchor(self, offset_ms, uptime_ms):
        """From now on, the time of day is the uptime plus offset_ms."""
        self._write(uptime_ms, lambda: self._ring.append_anchor(offset_ms, SYNCED))
        self.offset_ms = offset_ms
        self._last = None  # it was taken under another offset
        if self.first_offset_ms is None:
            self.first_offset_ms = offset_ms
            self._dated = None

    def _write(self, uptime_ms, append):
        if self._ring.full():
            self._begin_segment(uptime_ms)
        while True:
            try:
                append()
                break
            except OSError:  # no room left in flash: the oldest slots make way
                if self._ring.oldest >= self._ring.newest:
                    raise
                self._give_up_oldest()
                self._begin_segment(uptime_ms)  # a record that was half written ends its segment
        self.pending.grow(self._ring.next_place())

    def _begin_segment(self, uptime_ms):
        base_ms = max(0, uptime_ms - _BASE_BEFORE_MS)
        quality = 0 if self.offset_ms is None else SYNCED
        header = Header(self.boot, self.previous, self.next_seq, base_ms, self.offset_ms, quality)
        while self._ring.crowded():
            self._give_up_oldest()
        while True:
            try:
                return self._ring.create(header)
            except OSError:
                if self._ring.oldest >= self._ring.newest:
                    raise
                self._give_up_oldest()

    def _give_up_oldest(self):
        """Drops the oldest segment; what in it was still pending is reported as lost."""
        number = self._ring.oldest
        header = self._ring.header_of(number)
        first = last = None
        if header:
            with self._ring.records(number * PLACES) as records:
                for place, kind, buf in records:
                    if kind == SLOT and self.pending.waits(place):
                        last = self._ring.slot(header, buf).seq
                        first = last if first is None else first
        if first is not None:
            self._lost.add(header.boot, first, last, "backlog_full")
        self._ring.remove_oldest()
        self.pending.drop_before(self._ring.oldest * PLACES)

    # ---- reading ----

    def size(self):
        """How many records wait; about how many slots."""
        count = 0
        for low, high in self.pending.spans():
            count += (segment_of(high) - segment_of(low)) * RECORDS_MAX + high % PLACES - low % PLACES
        return count

    async def fresh(self, limit):
        """The newest slots, when an older backlog would hold them up; else None."""
        spans = self.pending.spans()
        low, high = spans[-1]
        if self.offset_ms is None or low >= high:
            return None
        start = max(low, high - min(limit, FRESH_MAX), self._ring.newest * PLACES)
        if len(spans) == 1 and start == low:
            return None  # no backlog: the oldest are the newest
        selection = await self._select(start, high, limit)
        return selection if selection and selection.slots else None

    async def oldest(self, limit):
        """The oldest slots that can be dated; None when there are none."""
        for low, high in self.pending.spans():
            while low < high:
                selection = await self._select(low, high, limit)
                if selection and selection.slots:
                    return selection
                if not selection:
                    return None  # not datable yet; later boots aren't either
                self.acknowledge(selection)  # torn records and anchors only
                low = max(selection.end, (segment_of(low) + 1) * PLACES)
        return None

    async def _select(self, start, end, limit):
        """Up to limit slots of one segment from start; None when their time isn't known yet."""
        number = segment_of(start)
        header = self._ring.header_of(number)
        if not header:
            return _nothing(start, min(end, (number + 1) * PLACES))
        dated = await self._date_of(number, header)
        if not dated:
            return None
        first_offset, quality = dated
        selection = Selection(header, start, quality)
        if self._last and self._last[0] == start:
            slot = self._last[1]  # stored just now: no need to read it back
            selection.slots.append((slot, slot.uptime_ms + self.offset_ms))
            selection.end = start + 1
            return selection
        place, offset = self._resume(number, start, header.offset_ms)
        with self._ring.records(place) as records:
            for place, kind, buf in records:
                if place >= end or len(selection.slots) >= limit:
                    break
                if kind == ANCHOR:
                    offset = unpack_anchor(buf)[1]
                elif kind == SLOT and place >= start:
                    slot = self._ring.slot(header, buf)
                    selection.slots.append((slot, slot.uptime_ms + (first_offset if offset is None else offset)))
                selection.end = max(start, place + 1)
            else:
                if number < self._ring.newest:
                    selection.end = min(end, (number + 1) * PLACES)  # the rest of the segment holds no records
        self._hints = [(selection.end, offset)] + self._hints[: _HINTS_MAX - 1]
        return selection

    def _resume(self, number, start, offset):
        """Where to begin reading so that the offset at start is known: the last stop before it, or the segment."""
        best = number * PLACES
        for place, known in self._hints:
            if segment_of(place) == number and best < place <= start:
                best, offset = place, known
        return best, offset

    async def _date_of(self, number, header):
        """(offset of the boot's first anchor, quality), or None while nobody can tell."""
        if header.boot == self.boot:
            return None if self.first_offset_ms is None else (self.first_offset_ms, SYNCED)
        if header.offset_ms is not None:
            return header.offset_ms, SYNCED  # slots of this segment use it, or a later one
        if not self._dated or self._dated[0] != header.boot:
            self._dated = await self._find_date(number, header)
        return self._dated and self._dated[1:]

    async def _find_date(self, number, header):
        """Follows the ring from an undated segment to what dates it: (boot, offset, quality) or None."""
        boot = header.boot
        undated = []  # the last uptime of each boot on the way that never learned the time
        last_ms = header.base_ms
        while True:
            with self._ring.records(number * PLACES) as records:
                for _, kind, buf in records:
                    if kind == ANCHOR:
                        return _ending_at(undated, unpack_anchor(buf)[1], boot)
                    if kind == SLOT:
                        last_ms = self._ring.slot(header, buf).uptime_ms
            await asyncio.sleep_ms(0)  # a long search must not hold up the sampler
            number += 1
            if number > self._ring.newest:
                return None
            following = self._ring.header_of(number)
            if not following:
                continue
            if following.boot != header.boot:
                undated.append(last_ms)
                last_ms = following.base_ms
            header = following
            if header.offset_ms is not None:
                return _ending_at(undated, header.offset_ms, boot)
            if header.boot == self.boot:
                if self.first_offset_ms is None:
                    return None
                return _ending_at(undated, self.first_offset_ms, boot)

    async def pending_since(self, sent):
        """Event time of the oldest slot that still waits once `sent` (or None) has arrived; None when there is none."""
        for low, high in self.pending.spans():
            if sent and sent.start <= low < sent.end:
                low = sent.end
            while low < high and not (sent and sent.start <= low < sent.end):
                if self._since and self._since[0] == low:
                    return self._since[1]
                selection = await self._select(low, high, 1)
                if not selection:
                    return None
                if selection.slots:
                    self._since = (low, selection.slots[0][1])
                    return self._since[1]
                low = max(selection.end, low + 1)
        return None

    def holds(self, boot):
        """True when slots of this boot may still be sent; looks at the oldest segment that waits, and at this boot."""
        if boot == self.boot:
            return self.offset_ms is not None
        low = self.pending.tail()
        header = self._ring.header_of(segment_of(low)) if low < self._ring.next_place() else None
        return header is not None and header.boot == boot

    def report(self, boot):
        """A selection without slots, to carry what a boot has lost."""
        selection = _nothing(0, 0)
        selection.boot = boot
        selection.quality = SYNCED
        return selection

    # ---- answers ----

    def acknowledge(self, selection):
        """These slots are in the log: they need no place in flash any more."""
        self.pending.remove(selection.start, selection.end)
        tail = self.pending.tail()
        while self._ring.oldest < segment_of(tail) and self._ring.oldest < self._ring.newest:
            self._ring.remove_oldest()

    def refuse(self, selection):
        """The server will never take these slots: they are reported as lost."""
        seqs = [slot.seq for slot, _ in selection.slots]
        self._lost.add(selection.boot, seqs[0], seqs[-1], "refused")
        self.acknowledge(selection)


def _nothing(start, end):
    selection = Selection(Header(0, None, 0, 0, None, 0), start, 0)
    selection.end = end
    return selection


def _ending_at(undated, offset, boot):
    """Undated boots end where the next one begins; without any, the offset is the boot's own."""
    if not undated:
        return boot, offset, SYNCED
    for last_ms in reversed(undated):
        offset -= last_ms
    return boot, offset, ESTIMATED
