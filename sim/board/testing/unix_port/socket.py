# socket on the unix port with addresses as the ESP32 takes them, (host, port); its own connect wants them packed.
import io
import select
import usocket

AF_INET, SOCK_STREAM, SOCK_DGRAM = usocket.AF_INET, usocket.SOCK_STREAM, usocket.SOCK_DGRAM
_POLL, _CLOSE = 3, 4  # requests of ioctl (py/stream.h)


def _packed(address):
    return usocket.getaddrinfo(*address)[0][-1]


class socket(io.IOBase):
    def __init__(self, *kind):
        self._sock = usocket.socket(*kind)
        self._poller = select.poll()
        self._poller.register(self._sock)

    def setblocking(self, on):
        self._sock.setblocking(on)

    def connect(self, address):
        self._sock.connect(_packed(address))

    def sendto(self, data, address):
        return self._sock.sendto(data, _packed(address))

    def send(self, data):
        return self._sock.send(data)

    def write(self, data):
        return self._sock.write(data)

    def readinto(self, buf):
        return self._sock.readinto(buf)

    def ioctl(self, request, argument):
        if request == _POLL:
            self._poller.modify(self._sock, argument)
            ready = self._poller.poll(0)
            return ready[0][1] if ready else 0
        if request == _CLOSE:
            self.close()
        return 0

    def close(self):
        if self._sock:
            self._sock.close()
            self._sock = None
