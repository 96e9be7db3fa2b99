"""What is meant to be said to people; it waits in ICTUS_OUT until a messenger has said it."""

from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Card, Queue
from domain.identity import Instant

SUBJECT_ROOT = "ictus.out"


class ShowCard(Struct, frozen=True, tag="show-card", kw_only=True):
    """The case's one message as it should look after event `sequence`; an older look never
    replaces a newer. `answer` is the answer-composed event it shows, `asked` when the images that
    led to it were sent, `placeholder` what is sent first where no message exists yet."""

    case: UUID
    to: UUID
    address: str
    sequence: int
    card: Card
    placeholder: Card
    ready: str
    answer: UUID | None = None
    asked: Instant | None = None


class Say(Struct, frozen=True, tag="say", kw_only=True):
    """A message of its own. `reply_to` is a message of the chat."""

    address: str
    card: Card
    reply_to: int | None = None


class Toast(Struct, frozen=True, tag="toast", kw_only=True):
    """A short note on the button that was pressed; worthless after some seconds."""

    address: str
    press: str
    text: str


class Swap(Struct, frozen=True, tag="swap", kw_only=True):
    """Another text with other buttons in the place of a message that exists."""

    address: str
    message: int
    card: Card


Outgoing = ShowCard | Say | Toast | Swap


async def send(queue: Queue, outgoing: Outgoing, message_id: str) -> None:
    """Intends it, once per `message_id`. Raises Unavailable."""
    channel, chat = outgoing.address.split(":", 1)
    subject = f"{SUBJECT_ROOT}.{channel}.{chat}"
    await queue.publish(subject, msgspec.json.encode(outgoing), message_id=message_id)


def parse(data: bytes) -> Outgoing:
    return _decoder.decode(data)


_decoder: msgspec.json.Decoder[Outgoing] = msgspec.json.Decoder(Outgoing)
