"""Slots that had to be given up, kept in a small file until a 2xx has taken the report."""
import json
import os
from micropython import const

_SPANS_MAX = const(32)  # above, the oldest report is dropped: its slots stay "missing" in the ledger


class LostSpans:
    def __init__(self, path):
        self._path = path
        self._spans = []  # [boot, from, to, reason]
        try:
            with open(path) as file:
                self._spans = [span for span in json.loads(file.read()) if len(span) == 4]
        except (OSError, ValueError, TypeError):
            pass  # none yet

    def add(self, boot, first, last, reason):
        for span in self._spans:
            if span[0] == boot and span[3] == reason and first <= span[2] + 1 and last >= span[1] - 1:
                span[1] = min(span[1], first)
                span[2] = max(span[2], last)
                break
        else:
            self._spans.append([boot, first, last, reason])
            del self._spans[: max(0, len(self._spans) - _SPANS_MAX)]
        self._store()

    def boots(self):
        """The boots that have something to report, oldest report first."""
        return [span[0] for span in self._spans]

    def of(self, boot):
        """The spans of one boot, as a list of [boot, from, to, reason]."""
        return [list(span) for span in self._spans if span[0] == boot]

    def postpone(self, boot):
        """What other boots have to report goes first."""
        others = [span for span in self._spans if span[0] != boot]
        self._spans = others + [span for span in self._spans if span[0] == boot]

    def reported(self, spans):
        """These spans were acknowledged; one that has grown meanwhile stays."""
        if spans:
            self._spans = [span for span in self._spans if span not in spans]
            self._store()

    def _store(self):
        fresh = self._path + ".new"
        try:
            with open(fresh, "w") as file:
                file.write(json.dumps(self._spans))
            os.rename(fresh, self._path)
        except OSError:
            pass  # no room in flash: the report lives in memory until the next change
