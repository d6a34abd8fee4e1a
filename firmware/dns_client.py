"""Names to addresses without blocking: socket.getaddrinfo stops the whole program while it waits (RFC 1035, type A)."""
from struct import pack, unpack_from
from udp_exchange import exchange
from micropython import const

_PORT = const(53)
_TIMEOUT_MS = const(3000)
NO_SUCH_NAME = -202  # the number that getaddrinfo raises on the ESP32


def is_address(name):
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() for part in parts)


def query_for(name, number):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\x00\x00\x01\x00\x01"


def _after_name(answer, at, end):
    """Skips a name (labels, or a pointer)."""
    while at < end and answer[at]:
        if answer[at] & 0xC0 == 0xC0:
            return at + 2
        at += 1 + answer[at]
    return at + 1


def first_address(answer, length):
    """The first address in an answer, or None."""
    if length < 12 or answer[3] & 15:
        return None
    count = unpack_from(">H", answer, 6)[0]
    at = _after_name(answer, 12, length) + 4
    while count and at + 12 <= length:
        at = _after_name(answer, at, length)
        if at + 10 > length:
            return None
        kind, _, _, size = unpack_from(">HHIH", answer, at)
        at += 10
        if kind == 1 and size == 4 and at + 4 <= length:
            return "%d.%d.%d.%d" % tuple(answer[at : at + 4])
        at += size
        count -= 1
    return None


class Resolver:
    """server() gives the name server's address; random_below(n) makes query numbers."""

    def __init__(self, server, random_below, uptime_ms):
        self._server = server
        self._random_below = random_below
        self._uptime_ms = uptime_ms

    async def resolve(self, name):
        """The address of name; raises OSError."""
        if is_address(name):
            return name
        number = self._random_below(65536)
        answer = bytearray(512)

        def accept(data, length):
            return length >= 12 and data[0] << 8 | data[1] == number

        address = (self._server(), _PORT)
        length = await exchange(address, query_for(name, number), answer, accept, self._uptime_ms, _TIMEOUT_MS)
        found = first_address(answer, length)
        if not found:
            raise OSError(NO_SUCH_NAME)
        return found
