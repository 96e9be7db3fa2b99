"""The limit of the wire: a blocking socket and as little Python as possible, nothing decoded.

What is sent was made beforehand; what comes is only counted.
"""

import json
import time
from collections.abc import Sequence
from socket import create_connection
from urllib.parse import urlparse
from uuid import uuid4

from adapters.storage.jetstream import headers_of
from adapters.storage.streams import LEDGER
from adapters.storage.wire_protocol import encoded_headers, publishing
from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import Written, fresh, written

BATCH_EVENTS = 1000
ASKED_MESSAGES = 4096
RECEIVED_BYTES_MAX = 1024 * 1024
INBOX = "_INBOX.raw"
HOUR_NS = 3600 * 10**9


class Line:
    """A connection that sends bytes and counts the messages that come."""

    def __init__(self, url: str) -> None:
        address = urlparse(url)
        self._socket = create_connection((address.hostname, address.port))
        self._rest = b""
        words = {"user": address.username, "pass": address.password, "verbose": False}
        hello = json.dumps(words | {"headers": True, "no_responders": True})
        self.send(f"CONNECT {hello}\r\nSUB {INBOX} 1\r\n".encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def count(self, *, answers: bool = False) -> int:
        """How many messages came with the next bytes."""
        data = self._rest + self._socket.recv(RECEIVED_BYTES_MAX)
        assert not answers or b'"error"' not in data, data
        at, size, messages, find = 0, len(data), 0, data.find
        while (end := find(b"\r\n", at)) >= 0:
            if data.startswith((b"MSG", b"HMSG"), at):
                stop = end + 4 + int(data[data.rfind(b" ", at, end) : end])
                if stop > size:
                    break
                at, messages = stop, messages + 1
            else:
                at = end + 2
        self._rest = data[at:]
        return messages

    def wait(self) -> None:
        """For one answer."""
        while not self.count(answers=True):
            pass

    def close(self) -> None:
        self._socket.close()


def single(url: str, events: int, seed: str) -> Measured:
    line, messages = Line(url), [_published(each) for each in fresh(events, seed)]
    with Stopwatch(events) as watch:
        for message in messages:
            since = time.perf_counter()
            line.send(message)
            line.wait()
            watch.lap(since)
    line.close()
    return watch.measured


def pipelined(url: str, events: int, in_flight: int, seed: str) -> Measured:
    """A message is sent for every answer that came."""
    line, messages = Line(url), [_published(each) for each in fresh(events, seed)]
    with Stopwatch(events) as watch:
        line.send(b"".join(messages[:in_flight]))
        sent, answered = in_flight, 0
        while answered < events:
            answers = line.count(answers=True)
            line.send(b"".join(messages[sent : sent + answers]))
            sent, answered = sent + answers, answered + answers
    line.close()
    return watch.measured


def batches(url: str, events: int, seed: str, head: int) -> Measured:
    """Atomic batches, one after the other, on top of a ledger that ends at `head`."""
    made = written(events, seed, head)
    prepared = [_batch(made[at : at + BATCH_EVENTS]) for at in range(0, events, BATCH_EVENTS)]
    line = Line(url)
    with Stopwatch(events) as watch:
        for batch in prepared:
            line.send(batch)
            line.wait()
    line.close()
    return watch.measured


def replayed(url: str, events: int) -> Measured:
    """An unfiltered pull without acknowledgements of the whole ledger."""
    line, name = Line(url), uuid4().hex
    config = {"name": name, "deliver_policy": "all", "ack_policy": "none", "mem_storage": True}
    wish = {"stream_name": LEDGER, "config": config}
    subject = f"$JS.API.CONSUMER.CREATE.{LEDGER}.{name}"
    line.send(publishing(subject, json.dumps(wish).encode(), reply=INBOX))
    line.wait()
    pull = json.dumps({"batch": ASKED_MESSAGES, "expires": HOUR_NS}).encode()
    ask = publishing(f"$JS.API.CONSUMER.MSG.NEXT.{LEDGER}.{name}", pull, reply=INBOX)
    with Stopwatch(events) as watch:
        asked = received = 0
        while received < events:
            while asked < received + 2 * ASKED_MESSAGES:
                line.send(ask)
                asked += ASKED_MESSAGES
            received += line.count()
    line.close()
    return watch.measured


def _published(each: Written) -> bytes:
    return publishing(
        each.entry.subject, each.entry.payload, encoded_headers(headers_of(each.entry)), INBOX
    )


def _batch(members: Sequence[Written]) -> bytes:
    batch, messages = uuid4().hex, []
    for number, each in enumerate(members, start=1):
        last = number == len(members)
        headers = headers_of(each.entry) | {
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(number),
            **({"Nats-Batch-Commit": "1"} if last else {}),
        }
        entry, reply = each.entry, INBOX if last else ""
        messages.append(publishing(entry.subject, entry.payload, encoded_headers(headers), reply))
    return b"".join(messages)
