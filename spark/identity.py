"""Which readings are new: the section "Identity" of docs/judging.md, where it needs a device's past in order.

Readings with boot and seq are judged by Spark itself (see `job.py`); what is here is called once a device with its few
others. Plain Python without Spark.
"""

DAY_MS = 86_400_000
CHANNELS = ("temperature", "humidity", "fault")
QUARANTINED_PER_DAY_MAX = 1_000


def is_kept(past_ms, now_ms, retention_ms):
    """A reading is kept until the end of the UTC day of its append time, plus the retention."""
    return (past_ms // DAY_MS + 1) * DAY_MS + retention_ms > now_ms


def judge_unnumbered(rows, retention_ms):
    """Readings without boot or seq of one device, in the order of the log: `(offset, index, verdict, temperature,
    humidity, fault)` of each, where an accepted one has its new channels only."""
    judged = []
    accepted = []  # (append time, event time, values), in the order of the log
    by_time = {}
    expired = 0  # so many of them are no longer kept
    expired_high = None
    for row in rows:
        now = row["append_ms"]
        while expired < len(accepted) and not is_kept(accepted[expired][0], now, retention_ms):
            expired_high = max(expired_high or 0, accepted[expired][1])
            expired += 1
        values = {channel: row[channel] for channel in CHANNELS}
        verdict = "accepted"
        if row["ts"] is not None:
            before = [each for each in by_time.get(row["ts"], []) if is_kept(each[0], now, retention_ms)]
            verdict = _verdict(row, values, before, expired_high)
            if row["released"] and verdict == "conflict":
                verdict = "duplicate"
        if verdict == "accepted":
            entry = (now, row["event_ms"], values)
            accepted.append(entry)
            by_time.setdefault(row["event_ms"], []).append(entry)
        judged.append((row["offset"], row["index"], verdict, *(values[channel] for channel in CHANNELS)))
    return judged


def _verdict(row, values, before, expired_high):
    """Leaves the new channels in `values`."""
    if expired_high is not None and row["ts"] <= expired_high:
        return "undecidable"
    news = False
    for channel in CHANNELS:
        if row[channel] is None:
            continue
        known = [each[2][channel] for each in before if each[2][channel] is not None]
        if any(value != row[channel] for value in known):
            return "conflict"
        if known:
            values[channel] = None
        else:
            news = True
    return "accepted" if news else "duplicate"


def count_quarantined(rows, device, retention_ms):
    """Readings of one device that can't be counted, in the order of the log: `(offset, index, duplicate)` of each. One that
    was quarantined before, and is still kept as a row, is a duplicate."""
    counted = []
    kept = {}
    day, today = None, 0
    for row in rows:
        now = row["append_ms"]
        key = (row["raw"], row["ts"], row["boot"], row["seq"], row["reason"])
        before = kept.get(key)
        is_duplicate = (
            device != "" and row["ts"] is not None and before is not None and is_kept(before, now, retention_ms)
        )
        if not is_duplicate:
            if now // DAY_MS != day:
                day, today = now // DAY_MS, 0
            today += 1
            if today <= QUARANTINED_PER_DAY_MAX:
                kept[key] = now
        counted.append((row["offset"], row["index"], is_duplicate))
    return counted
