"""Sends the backlog: the newest slots first when there is one, then the oldest, freed only by a 2xx."""
import asyncio
import json
from batch import READINGS_MAX
from http_client import header, reason_of, text_of
from records import SYNCED
from status import say
from micropython import const

_FIRST_CREDIT = const(16)  # until ingest has told how many readings it takes
_REFUSED = (400, 415, 422)  # this batch will never be taken
_REPORT_AGAIN = const(4)  # batches that arrive before a refused report of lost slots is sent again; then 8, 16 …
_REPORT_DOUBLINGS = const(8)  # … up to 1,024
_DOORS = {401: "the key in settings.json is missing or wrong", 403: "the key in settings.json is not allowed"}


class Uploader:
    """body: see batch.py; link.up() tells whether to try; stored is the sampler's Event; learn(unix_ms) takes the time
    that ingest tells; every wait of a failure comes from backoff."""

    def __init__(self, body, key, path, client, backlog, lost, link, backoff, stored, learn):
        self._body = body
        self._path = path
        self._headers = "content-type: application/json\r\n"
        if key:
            self._headers += "authorization: Bearer %s\r\n" % key
        self._client = client
        self._backlog = backlog
        self._lost = lost
        self._link = link
        self._backoff = backoff
        self._stored = stored
        self._learn = learn
        self._credit = _FIRST_CREDIT
        self._reports_in = 0  # so many batches have to arrive before lost slots are reported again
        self._report_refusals = 0  # in a row
        self.sent = 0  # slots acknowledged in this boot

    async def run(self):
        while True:
            wait_ms = await self._step()
            if wait_ms is None:
                await self._stored.wait()
                self._stored.clear()
            elif wait_ms:
                await asyncio.sleep_ms(wait_ms)

    async def _step(self):
        """One request. Returns how long to wait before the next one; None: until the next slot."""
        if not self._link.up():
            self._client.close()
            await self._link.until_up()
        limit = max(1, min(self._credit, READINGS_MAX))
        selection = await self._backlog.fresh(limit) or self._report() or await self._backlog.oldest(limit)
        if not selection:
            return None
        lost = [] if self._reports_in else self._lost.of(selection.boot)
        since = await self._backlog.pending_since(selection)
        self._body.write(selection, selection.quality == SYNCED, since, lost)
        try:
            answer = await self._client.request("POST", self._path, self._headers, self._body.bytes())
        except OSError as error:
            return self._failed(0, "no_answer", reason_of(error))
        return self._judge(answer, selection, lost)

    def _report(self):
        """Lost slots of a boot of which nothing else is left to send."""
        for boot in () if self._reports_in else self._lost.boots():
            if not self._backlog.holds(boot):
                return self._backlog.report(boot)
        return None

    def _judge(self, answer, selection, lost):
        status = answer.status
        if 200 <= status < 300:
            return self._accepted(answer, selection, lost)
        if status == 413 and len(selection.slots) > 1:
            self._credit = max(1, len(selection.slots) // 2)
            return 0
        if status in _REFUSED or status == 413:
            return self._refused(answer, selection, lost)
        retry_ms = _retry_after_ms(header(answer.headers, b"retry-after"))
        return self._failed(retry_ms, "not_accepted", _DOORS.get(status, "HTTP %d" % status))

    def _accepted(self, answer, selection, lost):
        told = _json_of(answer)
        if told is None:
            return self._failed(0, "not_ingest", "a 2xx without JSON: is this a captive portal?")
        self._backoff.succeeded()
        self._reports_in = max(0, self._reports_in - 1)
        self._backlog.acknowledge(selection)
        if lost:
            self._lost.reported(lost)
            self._report_refusals = 0
        self.sent += len(selection.slots)
        credit = told.get("credit")
        if isinstance(credit, int) and credit >= 1:
            self._credit = credit
        if isinstance(told.get("now"), int):
            self._learn(told["now"])
        return 0

    def _refused(self, answer, selection, lost):
        if b"problem+json" not in header(answer.headers, b"content-type"):
            return self._failed(0, "not_ingest", "HTTP %d that is not ingest's: is there a proxy?" % answer.status)
        why = text_of(answer.body[:200])
        if lost:  # is it the report? Once more with the slots alone; the report waits, and is never dropped
            self._reports_in = _REPORT_AGAIN << min(self._report_refusals, _REPORT_DOUBLINGS)
            self._report_refusals += 1
            self._lost.postpone(selection.boot)
            say("report_refused", ("status", answer.status), ("again_after", self._reports_in), ("why", why))
        elif selection.slots:
            say("refused", ("status", answer.status), ("slots", len(selection.slots)), ("why", why))
            self._backlog.refuse(selection)
            self._reports_in = self._report_refusals = 0  # the report was not to blame
        return 0

    def _failed(self, retry_ms, event, why):
        wait_ms = self._backoff.failed(retry_ms)
        say(event, ("why", why), ("retry_ms", wait_ms), ("pending", self._backlog.size()))
        return wait_ms


def _json_of(answer):
    try:
        told = json.loads(answer.body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _retry_after_ms(text):
    return int(text) * 1000 if text.isdigit() and len(text) < 8 else 0
