"""One HTTP/1.1 request at a time over a connection that is kept; every wait has a deadline, every buffer a bound."""
import errno
import select
import socket
from dns_client import NO_SUCH_NAME
from waiting import Deadline, POLLIN, POLLOUT, until_ready
from micropython import const

_HEAD_BYTES_MAX = const(2048)
_BODY_BYTES_MAX = const(8192)
_CONNECT_MS = const(10000)
_ANSWER_MS = const(15000)
_CHUNK_BYTES = const(512)
_NOT_VERIFIED = const(-0x2700)  # MBEDTLS_ERR_X509_CERT_VERIFY_FAILED


class Closed(OSError):
    """The kept connection had ended before a byte of an answer came."""


class Untrusted(OSError):
    """The server's certificate did not convince."""


class Answer:
    """status, headers (for header(), below) and body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class HttpClient:
    """resolver: see dns_client.py; wrap(sock, host) makes a TLS socket, None for plain HTTP."""

    def __init__(self, host, port, resolver, uptime_ms, wrap=None):
        self._host = host
        self._port = port
        self._resolver = resolver
        self._uptime_ms = uptime_ms
        self._wrap = wrap
        self._address = None
        self._raw = self._sock = self._poller = None
        self._buf = bytearray(_CHUNK_BYTES)

    async def request(self, method, path, headers, body):
        """headers: text of extra header lines; body: bytes. Returns an Answer; raises OSError."""
        if self._sock:
            try:
                return await self._exchange(method, path, headers, body)
            except Closed:
                pass  # the server had closed the kept connection: once more on a new one
        await self._connect()
        return await self._exchange(method, path, headers, body)

    def close(self):
        if self._raw:
            try:
                self._poller.unregister(self._sock)
            except (KeyError, OSError):
                pass
            self._sock.close()
            if self._sock is not self._raw:
                self._raw.close()
        self._raw = self._sock = self._poller = None

    async def _connect(self):
        self.close()
        try:
            if not self._address:
                self._address = await self._resolver.resolve(self._host)
            self._raw = self._sock = socket.socket()
            self._poller = select.poll()
            self._raw.setblocking(False)
            try:
                self._raw.connect((self._address, self._port))
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            self._poller.register(self._raw, POLLOUT)
            await until_ready(self._poller, Deadline(self._uptime_ms, _CONNECT_MS))
            if self._wrap:
                # from here on the wrapped socket is asked: it may hold data that the raw one has given already
                self._sock = self._wrap(self._raw, self._host)
                self._poller.unregister(self._raw)
                self._poller.register(self._sock, POLLOUT)
        except (OSError, ValueError) as error:
            self._address = None  # it may have moved
            self.close()
            raise error if isinstance(error, OSError) else Untrusted(errno.EIO)

    async def _exchange(self, method, path, headers, body):
        deadline = Deadline(self._uptime_ms, _ANSWER_MS)
        head = "%s %s HTTP/1.1\r\nhost: %s:%d\r\n%scontent-length: %d\r\n\r\n"
        head %= (method, path, self._host, self._port, headers, len(body))
        try:
            await self._send(memoryview(head.encode()), deadline)
            await self._send(body, deadline)
            answer, keep = await self._receive(deadline)
        except OSError:
            self.close()
            raise
        if not keep:
            self.close()
        return answer

    async def _send(self, data, deadline):
        self._poller.modify(self._sock, POLLOUT)
        while len(data):
            await until_ready(self._poller, deadline)
            try:
                sent = self._sock.write(data) if self._sock is not self._raw else self._sock.send(data)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    continue
                raise Untrusted(errno.EIO) if error.errno == _NOT_VERIFIED else Closed(error.errno)
            except ValueError:  # what ssl raises when the handshake ends so
                raise Untrusted(errno.EIO)
            data = data[sent or 0 :]
            deadline.check()

    async def _receive(self, deadline):
        self._poller.modify(self._sock, POLLIN)
        data = bytearray()
        end = -1
        while end < 0:
            if not await self._more(data, deadline):
                raise Closed(errno.ECONNRESET) if not data else OSError(errno.EIO)
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) > _HEAD_BYTES_MAX:
                raise OSError(errno.EIO)
        status, headers = parse_head(bytes(data[:end]))
        body = data[end + 4 :]
        keep = header(headers, b"connection") != b"close"
        if header(headers, b"transfer-encoding") == b"chunked":
            return Answer(status, headers, await self._chunks(body, deadline)), keep
        length = header(headers, b"content-length")
        if not length.isdigit() or int(length) > _BODY_BYTES_MAX:
            return Answer(status, headers, b""), False  # the status says enough; the connection goes
        length = int(length)
        await self._fill(body, length, deadline)
        return Answer(status, headers, bytes(body[:length])), keep

    async def _chunks(self, data, deadline):
        """A body in chunks (RFC 9112, section 7.1); data: what has come of it."""
        body = b""
        while True:
            while data.find(b"\r\n") < 0:
                await self._fill(data, len(data) + 1, deadline)
            line = data.find(b"\r\n")
            try:
                size = int(bytes(data[:line]).split(b";")[0], 16)
            except ValueError:
                raise OSError(errno.EIO)
            if size < 0 or len(body) + size > _BODY_BYTES_MAX:
                raise OSError(errno.EIO)
            end = line + 2 + size
            await self._fill(data, end + 2, deadline)  # of a trailer, nothing is expected
            body += bytes(data[line + 2 : end])
            data = data[end + 2 :]
            if size == 0:
                return body

    async def _fill(self, data, length, deadline):
        while len(data) < length:
            if len(data) > _BODY_BYTES_MAX + _HEAD_BYTES_MAX or not await self._more(data, deadline):
                raise OSError(errno.EIO)

    async def _more(self, data, deadline):
        """Appends what has come; False at the end of the stream."""
        while True:
            await until_ready(self._poller, deadline)
            try:
                count = self._sock.readinto(self._buf)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                count = None
            except ValueError:
                raise Untrusted(errno.EIO)
            if count is not None:
                data.extend(memoryview(self._buf)[:count])
                return count > 0
            deadline.check()


def parse_head(head):
    """(status, what follows the status line in lower case) of the bytes before the blank line; OSError if not HTTP."""
    first, _, rest = head.partition(b"\r\n")
    parts = first.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
        raise OSError(errno.EIO)
    return int(parts[1]), b"\r\n" + rest.lower() + b"\r\n"


def header(headers, name):
    """The value of a header (name: bytes in lower case) as bytes in lower case, empty if it isn't there."""
    at = headers.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + len(name) + 3
    return headers[start : headers.find(b"\r\n", start)].strip()


def text_of(data):
    """bytes as text, for people: what isn't ASCII becomes a question mark."""
    return "".join(chr(byte) if byte < 128 else "?" for byte in data)


def reason_of(error):
    """What an OSError of this client means, for people."""
    if error.errno == NO_SUCH_NAME:
        return "the name was not found: check ingest_url in settings.json"
    if isinstance(error, Untrusted):
        return "the certificate is not by the authority in tls_ca_file, not for this host, or out of date"
    return errno.errorcode.get(error.errno, "error %s" % error.errno)
