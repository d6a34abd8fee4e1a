"""Waiting for a socket with a deadline, on either asyncio: the only wait is sleep_ms."""
import asyncio
import errno
import select
from micropython import const

_POLL_MS = const(20)  # the first waits; a slow server is asked for less and less often
_LONGEST_POLL_MS = const(160)


class Deadline:
    """uptime_ms() is the boot's clock, which never wraps."""

    def __init__(self, uptime_ms, timeout_ms):
        self._uptime_ms = uptime_ms
        self._end_ms = uptime_ms() + timeout_ms

    def check(self):
        if self._uptime_ms() >= self._end_ms:
            raise OSError(errno.ETIMEDOUT)


async def until_ready(poller, deadline, wait_ms=_POLL_MS):
    """Returns when a registered socket is ready (or has failed); OSError when the time is over."""
    while not poller.poll(0):
        deadline.check()
        await asyncio.sleep_ms(wait_ms)
        wait_ms = min(_LONGEST_POLL_MS, wait_ms + wait_ms // 2)


POLLIN, POLLOUT = select.POLLIN, select.POLLOUT
