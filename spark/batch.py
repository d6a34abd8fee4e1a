"""From a record of the log to what its sender said, and what can be told of each reading by itself.

The sections "Which records there are", "What is in a batch" and step 2 (1 to 4) of docs/judging.md, for Spark. Plain
Python without Spark, so that it can be read and tried alone.
"""

import json
import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

SLOTS_MAX = 10_000_000_000
TIME_MAX = 9_999_999_999_999
SAFE_MAX = 2**53 - 1
READINGS_MAX = 4_096
LOST_MAX = 256
NESTING_MAX = 32
RAW_MAX = 1_024
EVENT_MS_MIN = 1_420_070_400_000
FUTURE_MS = 300_000
OUTSIDE = 1_000_000_000
"""Thousandths of a number that is far outside every range."""


class Bad(Exception):
    """The value is not what it has to be."""


class Number(str):
    """A JSON number with the text that it had."""


def parse(value):
    """JSON with every number as its text; `Bad` if it is none."""
    if value is None:
        raise Bad
    try:
        text = bytes(value).decode("utf-8-sig")
        parsed = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Bad from error
    if _is_deeper(parsed, NESTING_MAX):
        raise Bad
    return parsed


def _no_constant(_):
    raise ValueError("NaN and Infinity are no JSON")


def _is_deeper(parsed, levels):
    if isinstance(parsed, dict):
        children = parsed.values()
    elif isinstance(parsed, list):
        children = parsed
    else:
        return False
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def integer(parsed, low, high):
    if parsed is None:
        return None
    if not isinstance(parsed, Number):
        raise Bad
    number = float(parsed)
    if not number.is_integer() or not low <= number <= high:
        raise Bad
    return int(number)


def required(value):
    if value is None:
        raise Bad
    return value


def word(parsed):
    if parsed is not None and not (_is_text(parsed) and re.fullmatch(r"[a-z0-9_]{1,32}", parsed)):
        raise Bad
    return parsed


def _is_text(parsed):
    return isinstance(parsed, str) and not isinstance(parsed, Number)


def device_name(parsed):
    """1 to 128 UTF-16 units, well-formed, no control characters."""
    if not _is_text(parsed):
        raise Bad
    units = sum(2 if ord(character) > 0xFFFF else 1 for character in parsed)
    if not 1 <= units <= 128 or re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", parsed):
        raise Bad
    return parsed


def thousandths(text):
    """Half away from zero, from the decimal text: "21.4005" is 21401, "-0.0005" is -1."""
    number = float(text)
    if abs(number) > OUTSIDE / 1_000:
        return OUTSIDE if number > 0 else -OUTSIDE
    with localcontext() as context:
        # All digits before the decimal point and three behind it, whatever the exponent.
        context.prec = len(text) + 20
        if abs(number) < 1e-9:
            return 0
        return int((Decimal(text) * 1_000).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def measurement(parsed):
    if parsed is None:
        return None
    if not isinstance(parsed, Number) or float(parsed) in (float("inf"), float("-inf")):
        raise Bad
    return thousandths(parsed)


def raw_text(parsed):
    """One text for all ways to write the same JSON value, cut as `quarantine` cuts it."""

    def plain(value):
        if isinstance(value, Number):
            number = float(value)
            return int(number) if number.is_integer() and abs(number) < 1e21 else number
        if isinstance(value, dict):
            return {name: plain(child) for name, child in value.items()}
        return [plain(child) for child in value] if isinstance(value, list) else value

    text = json.dumps(plain(parsed), ensure_ascii=False, separators=(",", ":"))
    return text[:RAW_MAX].encode("utf-8", "backslashreplace").decode()


def reading(parsed):
    """A reading as a dict; one that makes no sense is `malformed`, with `seq` and `ts` where those could be read."""
    said = {"seq": None, "ts": None, "temperature": None, "humidity": None, "fault": None, "malformed": True}
    said["raw"] = raw_text(parsed)
    if not isinstance(parsed, dict):
        return said
    bad = False
    for name, high in (("seq", SLOTS_MAX - 1), ("ts", TIME_MAX)):
        try:
            said[name] = integer(parsed.get(name), 0, high)
        except Bad:
            bad = True
    try:
        temperature = measurement(parsed.get("temperature_c"))
        humidity = measurement(parsed.get("humidity_pct"))
        fault = word(parsed.get("error"))
        word(parsed.get("flag"))
    except Bad:
        return said
    has_value = temperature is not None or humidity is not None
    if bad or has_value == (fault is not None):
        return said
    said.update(temperature=temperature, humidity=humidity, fault=fault, malformed=False)
    return said


def batch(value):
    """`(device, boot, synced, readings)`; `Bad` if the value is no batch."""
    parsed = parse(value)
    if not isinstance(parsed, dict):
        raise Bad
    lost = parsed.get("lost")
    if lost is not None and (not isinstance(lost, list) or len(lost) > LOST_MAX):
        raise Bad
    for span in lost or []:
        if not isinstance(span, dict):
            raise Bad
        low = required(integer(span.get("from"), 0, SLOTS_MAX - 1))
        high = required(integer(span.get("to"), 0, SLOTS_MAX - 1))
        word(span.get("reason"))
        if low > high:
            raise Bad
    previous = parsed.get("previous")
    if previous is not None:
        if not isinstance(previous, dict):
            raise Bad
        required(integer(previous.get("boot"), 0, SAFE_MAX))
        required(integer(previous.get("slots"), 0, SLOTS_MAX))
    synced = parsed.get("synced")
    if synced is not None and not isinstance(synced, bool):
        raise Bad
    readings = parsed["readings"] if "readings" in parsed else [parsed]
    if not isinstance(readings, list) or len(readings) > READINGS_MAX:
        raise Bad
    if not readings and previous is None and not lost:
        raise Bad
    device = device_name(parsed.get("device"))
    boot = integer(parsed.get("boot"), 0, SAFE_MAX)
    integer(parsed.get("every_ms"), 100, 86_400_000)
    integer(parsed.get("pending_since"), 0, TIME_MAX)
    return device, boot, synced is not False, [reading(each) for each in readings]


def release(value):
    """`(device, boot, reading)` of a release record; `Bad` if it is none."""
    parsed = parse(value)
    if not isinstance(parsed, dict):
        raise Bad
    device = device_name(parsed.get("device"))
    required(integer(parsed.get("offset"), 0, SAFE_MAX))
    required(integer(parsed.get("index"), 0, READINGS_MAX - 1))
    corrected = reading(parsed.get("reading"))
    if corrected["malformed"]:
        raise Bad
    return device, integer(parsed.get("boot"), 0, SAFE_MAX), corrected


def check_control(kind, key, value):
    """Owner, device and rules records: `Bad` if they can't be decoded. (Of rules only the outline is looked at.)"""
    parsed = parse(value)
    if not isinstance(parsed, dict):
        raise Bad
    if kind == "owner" and not (_is_text(parsed.get("worker")) and len(parsed["worker"]) <= 256):
        raise Bad
    if kind == "rules" and not isinstance(parsed.get("rules"), list):
        raise Bad
    if kind == "device":
        device_name(None if key is None else key)
        if parsed.get("action") == "rename":
            device_name(parsed.get("name"))
        elif parsed.get("action") != "retire":
            raise Bad


def partition_of(device, partitions):
    """As Kafka's default partitioner: murmur2 of the UTF-8 name."""
    data, mask, multiplier = device.encode(), 0xFFFFFFFF, 0x5BD1E995
    state = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * multiplier & mask
        k = (k ^ k >> 24) * multiplier & mask
        state = (state * multiplier & mask) ^ k
    if whole < len(data):
        state = (state ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    state = (state ^ state >> 13) * multiplier & mask
    return ((state ^ state >> 15) & 0x7FFFFFFF) % partitions


def reason_of(said, alone, append_ms):
    """Why a reading can't be counted, by itself; None if it may be."""
    if said["malformed"]:
        return "malformed"
    if said["ts"] is None and not alone or said["ts"] is not None and said["ts"] < EVENT_MS_MIN:
        return "no_time"
    if said["ts"] is not None and said["ts"] > append_ms + FUTURE_MS:
        return "future"
    if said["temperature"] is not None and not -40_000 <= said["temperature"] <= 80_000:
        return "out_of_range"
    if said["humidity"] is not None and not 0 <= said["humidity"] <= 100_000:
        return "out_of_range"
    return None


def arrivals(partition, partitions, append_ms, key, value, headers):
    """The readings of one record, as tuples in the order of `job.ARRIVAL`. The nameless device is "".

    The last one is the device that the record names: what lies in the wrong partition counts for nobody, but has a name."""
    said_headers = {header["key"]: bytes(header["value"] or b"").decode("utf-8", "replace") for header in headers or []}
    version = said_headers.get("isotherm", "1")
    if version.split(".")[0] != "1":
        raise ValueError(f"a record has version {version}, this job reads 1: run a newer one")
    kind = said_headers.get("isotherm-kind", "tick" if value is None else "batch")
    name = None if key is None else bytes(key).decode("utf-8", "replace")
    if kind == "tick":
        return []
    try:
        if kind == "batch":
            device, boot, synced, readings = batch(value)
        elif kind == "release":
            device, boot, corrected = release(value)
            if partition_of(device, partitions) != partition:
                raise Bad
            synced, readings = True, [corrected]
        elif kind in ("owner", "device", "rules"):
            check_control(kind, name, value)
            if kind == "device" and partition_of(name, partitions) != partition:
                raise Bad
            return []
        else:
            raise ValueError(f"a record has the unknown kind {kind}: run a newer job")
    except Bad:
        text = bytes(value or b"").decode("utf-8", "replace")[:RAW_MAX]
        return [("", None, True, False, 0, None, None, append_ms, None, None, None, "malformed", text, None)]
    foreign = partition_of(device, partitions) != partition
    found = []
    for index, said in enumerate(readings):
        reason = "wrong_partition" if foreign else reason_of(said, len(readings) == 1, append_ms)
        event_ms = append_ms if said["ts"] is None else said["ts"]
        found.append(
            ("" if foreign else device, boot, synced, kind == "release", index, said["seq"], said["ts"], event_ms)
            + (said["temperature"], said["humidity"], said["fault"], reason, said["raw"], device)
        )
    return found
