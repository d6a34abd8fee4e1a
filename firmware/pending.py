"""Which places of the ring still wait for a 2xx: a few half-open spans, oldest first; the last one grows.

While a backlog drains, the newest slots go first, so what is acknowledged has gaps.
"""
from micropython import const

_SPANS_MAX = const(8)  # above, the two oldest spans become one: some slots are sent twice, none is lost


class Pending:
    def __init__(self, start):
        self._spans = [[start, start]]

    def tail(self):
        """The oldest place that waits; the next one to be written when none does."""
        return self._spans[0][0]

    def spans(self):
        return self._spans

    def grow(self, end):
        """The ring was written up to (not including) end."""
        self._spans[-1][1] = end

    def waits(self, place):
        for low, high in self._spans:
            if low <= place < high:
                return True
        return False

    def drop_before(self, place):
        """Nothing before place waits any more."""
        self.remove(0, place)

    def remove(self, start, end):
        """[start, end) doesn't wait any more."""
        kept = []
        top = self._spans[-1][1]
        for low, high in self._spans:
            if low < start:
                kept.append([low, min(high, start)])
            if high > end:
                kept.append([max(low, end), high])
        spans = [span for span in kept if span[0] < span[1]]
        if not spans or spans[-1][1] < top:
            spans.append([top, top])
        while len(spans) > _SPANS_MAX:
            spans[0][1] = spans[1][1]
            del spans[1]
        self._spans = spans
