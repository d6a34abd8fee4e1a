"""Waiting for a socket with a deadline, on either asyncio: the only wait is sleep_ms."""
import asyncio
import errno
import select

_POLL_MS = 20


class Deadline:
    """uptime_ms() is the boot's clock, which never wraps."""

    def __init__(self, uptime_ms, timeout_ms):
        self._uptime_ms = uptime_ms
        self._end_ms = uptime_ms() + timeout_ms

    def check(self):
        if self._uptime_ms() >= self._end_ms:
            raise OSError(errno.ETIMEDOUT)


async def until_ready(poller, deadline):
    """Returns when a registered socket is ready (or has failed); OSError when the time is over."""
    while not poller.poll(0):
        deadline.check()
        await asyncio.sleep_ms(_POLL_MS)


POLLIN, POLLOUT = select.POLLIN, select.POLLOUT
