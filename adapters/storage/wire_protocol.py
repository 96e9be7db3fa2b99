"""The NATS protocol as bytes: what a client says, and a parser of what a server says."""

from collections.abc import Callable, Mapping

CRLF = b"\r\n"
STATUS_BEGIN = b"NATS/1.0 "
CONTROL_LINE_BYTES_MAX = 1024 * 1024
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024

Frame = tuple[bytes, bytes, bytes, bytes]
"""A message as it came: subject, reply subject, headers and payload; absent parts are empty."""

Sink = Callable[[list[bytes], bytes, int, int, int], object]
"""Takes the words of a message's line, and where in the bytes its headers begin, its payload begins
and both end: who needs only a part cuts out only that."""


class ProtocolError(Exception):
    """The other side does not speak NATS."""


class Parser:
    """Cuts a stream of bytes into messages, whatever pieces it comes in.

    Messages go to the sink of their subscription id, or nowhere; other lines go to `control`.
    Headers are left alone: most readers need none of them.
    """

    def __init__(self, control: Callable[[bytes], object]) -> None:
        self.sinks: dict[bytes, Sink] = {}
        self._control = control
        self._pieces: list[bytes] = []
        self._held = self._wanted = 0

    def feed(self, data: bytes) -> None:
        """Raises ProtocolError or ValueError for what no server says."""
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._wanted:
            return
        whole = data if len(self._pieces) == 1 else b"".join(self._pieces)
        rest = whole[self._parse(whole) :]
        self._pieces = [rest] if rest else []
        self._held = len(rest)

    def _parse(self, data: bytes) -> int:
        """How many bytes were used; `_wanted` is the least size of the rest worth another look."""
        at, size, sinks, find = 0, len(data), self.sinks, data.find
        self._wanted = 0
        while (end := find(CRLF, at)) >= 0:
            words = data[at:end].split()
            if words and words[0] == b"HMSG":
                headed, total = int(words[-2]), int(words[-1])
            elif words and words[0] == b"MSG":
                headed, total = 0, int(words[-1])
            else:
                self._control(data[at:end])
                at = end + 2
                continue
            if not 0 <= headed <= total <= PAYLOAD_BYTES_MAX:
                raise ProtocolError(f"a message of {total} bytes")
            begin = end + 2
            stop = begin + total
            if stop + 2 > size:
                self._wanted = stop + 2 - at
                return at
            if sink := sinks.get(words[2]):
                sink(words, data, begin, begin + headed, stop)
            at = stop + 2
        if size - at > CONTROL_LINE_BYTES_MAX:
            raise ProtocolError("a line without end")
        return at


def frame(words: list[bytes], data: bytes, begin: int, middle: int, stop: int) -> Frame:
    reply = words[3] if len(words) == (6 if words[0] == b"HMSG" else 5) else b""
    return words[1], reply, data[begin:middle], data[middle:stop]


def header(headers: bytes, name: bytes) -> bytes:
    """The value of the first header `name`, written as servers write it; empty when absent."""
    found = headers.find(CRLF + name + b":")
    if found < 0:
        return b""
    begin = found + len(name) + 3
    return headers[begin : headers.find(CRLF, begin)].strip()


def status(headers: bytes) -> bytes:
    """The three digits of a message that only says how things stand; empty for all others."""
    return headers[9:12] if headers.startswith(STATUS_BEGIN) else b""


def encoded_headers(headers: Mapping[str, str]) -> bytes:
    """Raises ValueError for what would break out of its line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\r") == lines.count("\n") == len(headers):
        raise ValueError("a header is one line")
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def publishing(subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> bytes:
    if headers:
        size = len(headers) + len(payload)
        line = f"HPUB {subject} {reply} {len(headers)} {size}\r\n".encode()
    else:
        line = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
    return b"".join((line, headers, payload, CRLF))


def subscribing(subject: str, sid: bytes) -> bytes:
    return b"SUB %b %b\r\n" % (subject.encode(), sid)


def unsubscribing(sid: bytes) -> bytes:
    return b"UNSUB %b\r\n" % sid
