"""One datagram out, one back, with a deadline."""
import select
import socket
from micropython import const
from waiting import Deadline, POLLIN, until_ready

_POLL_MS = const(4)  # an answer's moment is what NTP measures


async def exchange(address, query, answer, accept, uptime_ms, timeout_ms):
    """Fills answer with the first datagram that accept(answer, length) takes; returns its length. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    poller = select.poll()
    try:
        sock.setblocking(False)
        sock.sendto(query, address)
        poller.register(sock, POLLIN)
        deadline = Deadline(uptime_ms, timeout_ms)
        while True:
            await until_ready(poller, deadline, _POLL_MS)
            length = sock.readinto(answer)
            if length and accept(answer, length):
                return length
            deadline.check()
    finally:
        try:
            poller.unregister(sock)
        except (KeyError, OSError):
            pass
        sock.close()
