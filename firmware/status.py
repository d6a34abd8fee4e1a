"""One line of JSON on the serial port for everything that a person or a tool may want to know."""


def _json(value):
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d" % value
    return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def say(event, *fields):
    """fields: pairs of name and value."""
    parts = ['{"event":"%s"' % event]
    for name, value in fields:
        parts.append(',"%s":%s' % (name, _json(value)))
    print("".join(parts) + "}")
