"""settings.json: read, checked, and every wrong entry named with what to do."""
import json

# name: (default, check); a check returns what is wrong, or None
EVERY_MS_MIN = 2000  # AM2302 manual: the sensor needs 2 s between two readings
EVERY_MS_MAX = 3600000  # a segment of the backlog spans 200 slots and counts its time in 32 bits


def _text(longest):
    def check(value):
        if not isinstance(value, str):
            return "must be text in quotes"
        if len(value) > longest:
            return "must have at most %d characters" % longest

    return check


def _whole(least, most):
    def check(value):
        if type(value) is not int or not least <= value <= most:
            return "must be a whole number from %d to %d" % (least, most)

    return check


def _pin(value):
    if value is not None:
        return _whole(0, 39)(value)


def _url(value):
    if not isinstance(value, str) or not value:
        return 'is missing: give the address that ingest prints, such as "http://192.168.1.20:8080"'
    try:
        split_url(value)
    except ValueError as error:
        return str(error)


_RULES = {
    "device": ("", _text(64)),
    "wifi_ssid": ("", _text(32)),
    "wifi_key": ("", _text(63)),
    "ingest_url": ("", _url),
    "key": ("", _text(256)),
    "every_ms": (10000, _whole(EVERY_MS_MIN, EVERY_MS_MAX)),
    "ntp_host": ("pool.ntp.org", _text(128)),
    "sensor_pin": (15, _whole(0, 39)),
    "sensor_power_pin": (None, _pin),
    "led_pin": (2, _pin),
    "tls_ca_file": ("", _text(64)),
}


def split_url(url):
    """Returns (secure, host, port, path) of an http or https address; ValueError says what is wrong."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.partition(":")
    if not host:
        raise ValueError("has no host name")
    secure = scheme == "https"
    try:
        port = int(port) if port else (443 if secure else 80)
    except ValueError:
        raise ValueError("has a port that is no number")
    if not 0 < port < 65536:
        raise ValueError("has a port outside of 1 to 65535")
    return secure, host, port, "/" + (path or "v1/readings")


def check(given):
    """Returns (settings, problems): defaults filled in, and a list of sentences."""
    problems = []
    settings = {name: rule[0] for name, rule in _RULES.items()}
    for name in sorted(given):
        if name not in _RULES:
            problems.append("%s is unknown; known are %s" % (name, ", ".join(sorted(_RULES))))
            continue
        settings[name] = given[name]
    for name in sorted(_RULES):
        wrong = _RULES[name][1](settings[name])
        if wrong:
            problems.append("%s %s" % (name, wrong))
    if str(settings["ingest_url"]).startswith("https") and not settings["tls_ca_file"]:
        problems.append("tls_ca_file is missing: https needs the certificate authority to trust, in a file here")
    return settings, problems


def _read(path):
    """The text of a file, or None if there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def load(path, instead=None):
    """Returns (settings, problems) of the file; if there is none, of the file instead (a Wokwi project's)."""
    text = _read(path)
    if text is None and instead:
        text = _read(instead)
        path = path if text is None else instead
    if text is None:
        return check({})[0], ["%s is missing: copy settings.example.json and fill it in" % path]
    try:
        given = json.loads(text)
    except ValueError:
        return check({})[0], ["%s is not JSON: look for a missing comma or quote" % path]
    if not isinstance(given, dict):
        return check({})[0], ["%s must hold one object in braces" % path]
    return check(given)
