# select.poll over the sockets of the board, and its standard input (number 0).
import host as _host

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16


def _number(stream):
    return stream.fileno() if hasattr(stream, "fileno") else 0


class poll:
    def __init__(self):
        self._registered = {}

    def register(self, sock, events=POLLIN | POLLOUT):
        self._registered[id(sock)] = (sock, events)
        _host.poll_set(_number(sock), events)

    modify = register

    def unregister(self, sock):
        self._registered.pop(id(sock), None)
        _host.poll_remove(_number(sock))

    def poll(self, timeout=-1):
        if timeout and not _host.poll_any():
            _host.block(timeout, -1, 0)
        found = []
        for sock, events in self._registered.values():
            ready = _host.ready(_number(sock), events | POLLERR | POLLHUP)
            if ready:
                found.append((sock, ready))
        return found

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout))
