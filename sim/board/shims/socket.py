# TCP clients and UDP. A timeout of None blocks, 0 never does, n waits n seconds: as on the ESP32.
import errno as _errno
import host as _host
from uctypes import addressof as _addressof

AF_INET, SOCK_STREAM, SOCK_DGRAM = 2, 1, 2
SOL_SOCKET, SO_REUSEADDR, IPPROTO_TCP, TCP_NODELAY = 0xFFF, 4, 6, 1
_IN, _OUT = 1, 4
_RESOLVE_MS = 20


def getaddrinfo(name, port, *_):
    address = _host.resolve(name)
    _host.block(_RESOLVE_MS, 0, 0)
    if not address:
        raise OSError(-202)
    return [(AF_INET, SOCK_STREAM, 0, "", (address, port))]


class socket:
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0):
        self._id = self._checked(_host.open(1 if type == SOCK_DGRAM else 0))
        self._timeout = None

    def fileno(self):
        return self._id

    def setblocking(self, on):
        self._timeout = None if on else 0

    def settimeout(self, seconds):
        self._timeout = seconds

    def setsockopt(self, *_):
        pass

    def _checked(self, result):
        if result < 0:
            raise OSError(-result)
        return result

    def _wait(self, events, would_block):
        if _host.ready(self._id, events):
            return
        if self._timeout == 0:
            raise OSError(would_block)
        _host.block(-1 if self._timeout is None else int(self._timeout * 1000), self._id, events)
        if not _host.ready(self._id, events):
            raise OSError(_errno.ETIMEDOUT)

    def connect(self, address):
        self._checked(-_host.connect(self._id, address[0], address[1]))
        self._wait(_OUT, _errno.EINPROGRESS)
        self._checked(-_host.error(self._id))

    def send(self, data):
        self._wait(_OUT, _errno.EAGAIN)
        return self._checked(_host.send(self._id, _addressof(data), len(data)))

    write = send

    def sendto(self, data, address):
        return self._checked(_host.send_to(self._id, _addressof(data), len(data), address[0], address[1]))

    def recv(self, count):
        buf = bytearray(count)
        return bytes(memoryview(buf)[: self.readinto(buf)])

    def readinto(self, buf):
        self._wait(_IN, _errno.EAGAIN)
        return self._checked(_host.receive(self._id, _addressof(buf), len(buf)))

    def close(self):
        _host.close(self._id)
