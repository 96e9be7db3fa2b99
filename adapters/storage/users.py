"""Who may do what on NATS: one table of users, each with the least that its work needs.

The streams belong to an account whose only user is the admin. All others are in a second account,
which reaches the streams through imports: what JetStream answers goes to the asker's own account,
so nobody gets an answer stored in a stream by naming the stream's subject as the reply subject.
Answers to other users cannot be read, since each listens below an inbox prefix of its own.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from adapters.storage.nkeys import inbox_prefix
from adapters.storage.streams import (
    BLOCKED_BUCKET,
    DATASETS,
    DEAD_LETTERS,
    INBOX,
    KEYS_BUCKET,
    LEDGER,
    OUTBOX,
    SCHEDULE,
    SCHEDULE_ROOT,
    SENT_BUCKET,
    STREAMS,
    bucket_subject,
)
from domain import case, dataset, dead_letter, person
from domain.events import Event, event_name, tag_of
from domain.identity import SUBJECT_ROOT

ADMIN = "admin"
STREAMS_ACCOUNT, USERS_ACCOUNT = "ICTUS", "USERS"
API, ACK = "$JS.API", "$JS.ACK"
ACCESS = f"{SUBJECT_ROOT}.*.access.>"
EVERY_EVENT = f"{SUBJECT_ROOT}.>"

WORK = {
    "bot": INBOX,
    "ingest": LEDGER,
    "duplicates": LEDGER,
    "schedule": LEDGER,
    "inference": SCHEDULE,
    "answer": LEDGER,
    "outbox": OUTBOX,
}
LETTERS = "-letters"
DATASET_WORKER = "dataset-worker"
DURABLES = {
    **WORK,
    **{f"{durable}{LETTERS}": LEDGER for durable in WORK},
    DATASET_WORKER: DATASETS,
}
"""Every durable consumer and the stream it works through."""


class User(Struct, frozen=True):
    """Subjects it may publish to, but for those in `never`. It may subscribe to its inbox only."""

    publish: tuple[str, ...]
    never: tuple[str, ...] = ()


def _into(stream: str) -> tuple[str, ...]:
    return next(tuple(wanted.subjects or ()) for wanted in STREAMS if wanted.name == stream)


def _events(*types: type[Event]) -> tuple[str, ...]:
    """To append these and no others."""
    aggregates = [(tag_of(type_).split(".")[0], event_name(type_)) for type_ in types]
    return tuple(f"{SUBJECT_ROOT}.*.{aggregate}.*.{name}" for aggregate, name in aggregates)


def _pulls(stream: str, consumer: str) -> tuple[str, ...]:
    return (
        f"{API}.CONSUMER.CREATE.{stream}.{consumer}",
        f"{API}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
    )


def _work(durable: str) -> tuple[str, ...]:
    """To make its consumers, pull, acknowledge, set aside what cannot be done, and take it up again."""
    (into,) = _into(DEAD_LETTERS)
    letters = into.replace(">", f"{durable}.>")
    return (
        *_consumes(durable),
        *_consumes(f"{durable}{LETTERS}"),
        letters,
        f"{API}.DIRECT.GET.{DEAD_LETTERS}.{letters}",
        *_events(dead_letter.Parked, dead_letter.Handled),
        f"{API}.STREAM.MSG.GET.KV_{BLOCKED_BUCKET}",
        f"{bucket_subject(BLOCKED_BUCKET)}.*",
    )


def _consumes(durable: str) -> tuple[str, ...]:
    stream = DURABLES[durable]
    return (*_pulls(stream, durable), f"{ACK}.{stream}.{durable}.>")


HISTORIES = (
    f"{API}.STREAM.INFO.{LEDGER}",
    f"{API}.STREAM.MSG.GET.{LEDGER}",
    f"{API}.DIRECT.GET.{LEDGER}",
)
REPLAY = (*HISTORIES, *_pulls(LEDGER, "*"))
OTHERS_WORK = tuple(
    subject
    for durable, stream in DURABLES.items()
    if stream == LEDGER
    for subject in _pulls(LEDGER, durable)
)
"""A reader's consumers have random names, so it may make any; but it must not take work away."""

BACKLOGS = (f"{API}.CONSUMER.INFO.{LEDGER}.*",)
CONSUMERS = (f"{API}.CONSUMER.LIST.{LEDGER}",)
UNSEAL = (f"{API}.DIRECT.GET.KV_{KEYS_BUCKET}.{bucket_subject(KEYS_BUCKET)}.*",)
SEAL = (*UNSEAL, f"{bucket_subject(KEYS_BUCKET)}.*")
ERASE = (f"{API}.STREAM.MSG.DELETE.KV_{KEYS_BUCKET}",)
SLOTS = (
    f"{API}.DIRECT.GET.KV_{SENT_BUCKET}.{bucket_subject(SENT_BUCKET)}.*",
    f"{bucket_subject(SENT_BUCKET)}.*",
)
CHECK_STREAMS = (f"{API}.STREAM.INFO.*",)

SAID_BY_PEOPLE = _events(
    case.Opened,
    case.ImageSubmitted,
    case.ImagesMoved,
    case.ContextGiven,
    case.OpinionGiven,
    case.LabelConfirmed,
    case.LabelRevised,
    case.Linked,
    person.AccessAsked,
    person.Joined,
    person.RoleGranted,
    person.Consented,
    person.Used,
)
INGESTED = _events(case.ImageIngested, case.ImageRejected, case.ImageQuarantined)
PREDICTED = _events(case.PredictionProduced, case.PredictionDeclined, case.ShadowPredicted)

USERS: dict[str, User] = {
    "inbox": User(_into(INBOX)),
    "bot": User((*_work("bot"), *HISTORIES, *SAID_BY_PEOPLE, *SEAL, *_into(OUTBOX))),
    "ingest": User(
        (
            *_work("ingest"),
            *_work("duplicates"),
            *HISTORIES,
            *INGESTED,
            *_events(case.NearDuplicatesFound),
            *UNSEAL,
        )
    ),
    "inference": User(
        (
            *_work("schedule"),
            *_work("inference"),
            *HISTORIES,
            *PREDICTED,
            *UNSEAL,
            f"{SCHEDULE_ROOT}.*",
        )
    ),
    "answer": User(
        (*_work("answer"), *HISTORIES, *_events(case.AnswerComposed), *UNSEAL, *_into(OUTBOX))
    ),
    "outbox": User(
        (
            *_work("outbox"),
            *HISTORIES,
            *_events(case.CardPlaced, case.AnswerDelivered),
            *UNSEAL,
            *SLOTS,
        )
    ),
    "projector": User(REPLAY, never=OTHERS_WORK),
    "witness": User((*HISTORIES, *CONSUMERS)),
    DATASET_WORKER: User((*REPLAY, *_consumes(DATASET_WORKER)), never=OTHERS_WORK),
    "operator": User(
        (*REPLAY, EVERY_EVENT, *SEAL, *ERASE, *CHECK_STREAMS, *BACKLOGS, *_into(DATASETS)),
        never=OTHERS_WORK,
    ),
    "researcher": User((*REPLAY, *_events(dataset.Built), *_into(DATASETS)), never=OTHERS_WORK),
    "auditor": User((*REPLAY, ACCESS), never=OTHERS_WORK),
}
"""By name; a role's user is called as the role. Nobody here may make, change, empty or remove a
stream, nor take a message out of one, but for the operator, who may erase keys."""

EXPORTS = [
    {"service": f"{API}.>", "response_type": "stream"},
    *({"service": f"{root}.>"} for root in (ACK, "$KV", "ictus")),
]
IMPORTS = [{"service": {"account": STREAMS_ACCOUNT, "subject": e["service"]}} for e in EXPORTS]


def accounts(keys: Mapping[str, str], *more: Mapping[str, str]) -> dict[str, Any]:
    """The `accounts` of a nats-server's configuration: public keys by user, the admin's among
    them, and `more` logins that may do everything."""
    return {
        STREAMS_ACCOUNT: {
            "jetstream": "enabled",
            "users": [{"nkey": keys[ADMIN]}, *more],
            "exports": EXPORTS,
        },
        USERS_ACCOUNT: {
            "users": [
                {"nkey": keys[name], "permissions": _permissions(name, user)}
                for name, user in USERS.items()
            ],
            "imports": IMPORTS,
        },
    }


def _permissions(name: str, user: User) -> dict[str, Any]:
    return {
        "publish": {"allow": user.publish, "deny": user.never},
        "subscribe": {"allow": [f"{inbox_prefix(name)}.>"]},
    }
