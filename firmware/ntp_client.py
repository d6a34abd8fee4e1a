"""The time of day from an NTP server (RFC 5905, one exchange), to a millisecond or so."""
from struct import unpack_from
from udp_exchange import exchange
from micropython import const

_PORT = const(123)
_TIMEOUT_MS = const(3000)
_UNIX_1900 = const(2208988800)  # seconds from 1900 to 1970
_ERA = 1 << 32  # the seconds wrap in 2036; before 2016 counts as after


def unix_ms_of(answer, at):
    seconds, fraction = unpack_from(">II", answer, at)
    if seconds < 0xD5000000:
        seconds += _ERA
    return (seconds - _UNIX_1900) * 1000 + (fraction * 1000 >> 32)


async def ask(address, uptime_ms):
    """Returns (unix_ms, uptime_ms at that moment); raises OSError."""
    query = bytearray(48)
    query[0] = 0x23  # version 4, client
    answer = bytearray(48)

    def accept(data, length):
        return length >= 48 and data[0] & 7 == 4 and 0 < data[1] < 16

    sent_ms = uptime_ms()
    await exchange((address, _PORT), query, answer, accept, uptime_ms, _TIMEOUT_MS)
    came_ms = uptime_ms()
    return unix_ms_of(answer, 40) + (came_ms - sent_ms) // 2, came_ms
