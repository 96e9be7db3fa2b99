"""What each NATS user can do, with the real adapters, and what each must not do, tried: on the
configuration of the production stack."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec import json
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.storage import nats_connection
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.messages import JetStreamMessages
from adapters.storage.nats_connection import ask, connect, jetstream, publish
from adapters.storage.nkeys import BadSeed, Nkey, load_nkey, new_seed
from adapters.storage.queue import BucketBoard, BucketSlots, JetStreamQueue
from adapters.storage.streams import (
    DATASETS,
    DEAD_LETTERS,
    INBOX,
    KEYS_BUCKET,
    LEDGER,
    OUTBOX,
    SCHEDULE,
    STREAMS,
    provision,
)
from adapters.storage.users import ADMIN, DURABLES, STREAMS_ACCOUNT, USERS
from adapters.storage.vault import NatsVault
from adapters.telegram import bot, outbox
from commands.ports import Erased, Missing, Unavailable
from domain.events import EVENT_TYPES, tag_of
from domain.identity import subject
from ictus import examine
from ictus.embedded import prepare_nats
from ictus.nkeys import keep, nkey_file, public_keys
from ictus.roles import ROLES
from ictus.settings import NKEYS, NatsSettings, Settings
from ictus.wiring import furnish, open_house
from tests.contracts.writing import commit_to, new_request, notices, read
from tests.production import Production
from tests.servers import NatsServer
from workers import answer, duplicates
from workers.dataset import items as dataset_items
from workers.inference import schedule, worker as inference
from workers.ingest import worker as ingest

WRONG_LAST_SEQUENCE = 10071
MASTER = bytes(range(32))
Login = Callable[[str], Awaitable[Client]]

MAY_APPEND = {
    "bot": "case.opened case.image-submitted case.images-moved case.context-given"
    " case.opinion-given case.label-confirmed case.label-revised case.linked"
    " person.access-asked person.joined person.role-granted person.consented invitation.used",
    "ingest": "case.image-ingested case.image-rejected case.image-quarantined"
    " case.near-duplicates-found",
    "inference": "case.prediction-produced case.prediction-declined case.shadow-predicted",
    "answer": "case.answer-composed",
    "outbox": "case.card-placed case.answer-delivered",
    "researcher": "dataset.built",
}
SET_ASIDE = {"dead-letter.parked", "dead-letter.handled"}
READERS = {"projector", "dataset-worker", "operator", "researcher", "auditor"}
WORKERS = {"bot", "ingest", "inference", "answer", "outbox"}
UNSEALERS = WORKERS | {"operator"}
SEALERS = {"bot", "operator"}
ERASERS = {"operator"}
FORBIDDEN_TO_ALL = [
    *(f"STREAM.{verb}.{LEDGER}" for verb in ("CREATE", "DELETE", "PURGE", "UPDATE", "RESTORE")),
    f"STREAM.MSG.DELETE.{LEDGER}",
    f"STREAM.SNAPSHOT.{LEDGER}",
    *(f"STREAM.DELETE.{stream.name}" for stream in STREAMS),
    "STREAM.CREATE.ELSE",
    f"CONSUMER.DELETE.{LEDGER}.ingest",
    f"CONSUMER.RESET.{LEDGER}.ingest",
    f"CONSUMER.PAUSE.{LEDGER}.ingest",
    f"CONSUMER.DURABLE.CREATE.{LEDGER}.ingest",
    f"CONSUMER.CREATE.KV_{KEYS_BUCKET}.copy",
    f"STREAM.MSG.GET.KV_{KEYS_BUCKET}",
    f"DIRECT.GET.KV_{KEYS_BUCKET}",
    f"STREAM.MSG.GET.{INBOX}",
    f"STREAM.MSG.GET.{OUTBOX}",
]


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[Production]:
    server = Production(server_folder / "users")
    server.restart()
    asyncio.run(_furnished(server.settings))
    yield server
    server.stop()


async def _furnished(settings: Settings) -> None:
    async with open_house(settings, ADMIN) as house:
        await furnish(house)


@pytest.fixture
async def login(server: Production) -> AsyncIterator[Login]:
    async with AsyncExitStack() as stack:

        async def enter(user: str) -> Client:
            return await stack.enter_async_context(
                await connect(server.address, user, server.key(user))
            )

        yield enter


@pytest.fixture
async def admin(login: Login) -> Client:
    return await login(ADMIN)


# The table


def test_every_role_and_the_people_at_the_command_line_have_a_user() -> None:
    assert set(USERS) == {*ROLES, "operator", "researcher", "auditor"}


def test_the_durables_are_those_of_the_roles() -> None:
    work = {
        bot.ROLE: INBOX,
        ingest.ROLE: LEDGER,
        duplicates.ROLE: LEDGER,
        schedule.ROLE: LEDGER,
        inference.ROLE: SCHEDULE,
        answer.ROLE: LEDGER,
        outbox.ROLE: OUTBOX,
    }
    letters = {f"{role}-letters": LEDGER for role in work}
    assert work | letters | {dataset_items.ROLE: DATASETS} == DURABLES


# Getting in


async def test_nobody_gets_in_without_a_key_of_the_table(
    server: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "CONNECT_SECONDS_MAX", 0.5)

    for nkey, why in ((None, "without a key"), (Nkey("bot", new_seed()), "the key of `bot`")):
        with pytest.raises(Unavailable, match=rf"(?i){why} .*authorization violation"):
            await connect(server.address, "stranger", nkey)


async def test_an_embedded_server_lets_the_same_users_in(fresh_nats: NatsServer) -> None:
    for user in (ADMIN, *USERS):
        key = load_nkey(nkey_file(fresh_nats.data / NKEYS, user))
        address = f"nats://{fresh_nats.url.rsplit('@', 1)[1]}"
        async with await connect(address, user, key) as client:
            assert client.is_connected


def test_embedded_seeds_stay_the_same(tmp_path: Path) -> None:
    prepare_nats(tmp_path)
    before = public_keys(tmp_path / NKEYS)

    prepare_nats(tmp_path)

    assert public_keys(tmp_path / NKEYS) == before


@pytest.mark.parametrize("spoil", [str.lower, lambda seed: seed[:-1], lambda seed: "SU" + seed])
def test_a_spoilt_seed_is_refused(tmp_path: Path, spoil: Callable[[str], str]) -> None:
    file = tmp_path / "bot.nk"
    file.write_text(spoil(new_seed()))

    with pytest.raises(BadSeed, match=r"bot\.nk holds no seed"):
        load_nkey(file)
    with pytest.raises(Missing, match="no NATS user's seed"):
        load_nkey(tmp_path / "inbox.nk")


async def test_streams_made_before_there_were_users_are_taken_over(tmp_path: Path) -> None:
    prepared = prepare_nats(tmp_path)
    conf = prepared.data / "nats.conf"
    before = "\n#accounts:"
    single = f"authorization {{ user: ictus, password: {json.encode(prepared.password).decode()} }}"
    conf.write_text(conf.read_text().replace("accounts:", single + before))
    server = NatsServer(prepared)
    person = uuid4()
    await asyncio.to_thread(server.restart)
    async with await connect(prepared.url, "single") as client:
        await provision(client, "site")
        await JetStreamLedger(client).append(new_request(), [commit_to(person, "a")])
    server.stop()

    server = NatsServer(prepare_nats(tmp_path))
    await asyncio.to_thread(server.restart)
    key = load_nkey(nkey_file(tmp_path / NKEYS, "auditor"))
    async with await connect(prepared.address, "auditor", key) as client:
        assert notices(await JetStreamLedger(client).load("person", person)) == ["a"]
    server.stop()
    assert (prepared.data / "nats" / "jetstream" / STREAMS_ACCOUNT / "streams" / LEDGER).is_dir()


async def test_doctor_says_which_user_it_is(server: Production, fresh_nats: NatsServer) -> None:
    async with open_house(server.settings, "operator") as house:
        assert (await examine.nats_user(house)).startswith("`operator`, by its key")
        assert (await examine.streams(house)).startswith("ledger ")
        assert await examine.chain(house)
    nats = NatsSettings(fresh_nats.url, fresh_nats.monitor_url)
    async with open_house(Settings(data=str(fresh_nats.data), nats=nats), "operator") as house:
        assert (await examine.nats_user(house)).startswith("`ictus`")


async def test_a_house_without_the_seed_of_its_user_is_not_opened(
    server: Production, tmp_path: Path
) -> None:
    elsewhere = replace(server.settings.nats, nkeys=str(tmp_path))

    with pytest.raises(Missing, match=r"bot/bot\.nk: `ictus nkeys --out` makes one"):
        async with open_house(replace(server.settings, nats=elsewhere), "bot"):
            pass


async def test_doctor_minds_a_seed_that_others_can_read(server: Production) -> None:
    file = nkey_file(server.nkeys, "operator")
    file.chmod(0o640)
    try:
        async with open_house(server.settings, "operator") as house:
            with pytest.raises(examine.Wrong, match=r"others can read .*: chmod 600"):
                await examine.nats_user(house)
    finally:
        file.chmod(0o600)


async def test_a_user_gets_a_new_key_while_the_others_work_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "CONNECT_SECONDS_MAX", 0.5)
    server = Production(tmp_path / "rotating")
    await asyncio.to_thread(server.restart)
    try:
        await _furnished(server.settings)
        old = server.key("bot")
        async with await connect(server.address, "auditor", server.key("auditor")) as auditor:
            async with await connect(server.address, "bot", old) as bot_client:
                nkey_file(server.nkeys, "bot").unlink()
                assert keep(server.nkeys).made == ("bot",)
                server.reload()
                await until(lambda: not bot_client.is_connected)
            assert (await JetStreamLedger(auditor).head()).sequence
        with pytest.raises(Unavailable, match="does not know the key of `bot`"):
            await connect(server.address, "bot", old)
        async with await connect(server.address, "bot", server.key("bot")) as bot_client:
            assert (await JetStreamLedger(bot_client).head()).sequence
    finally:
        server.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  nobody can tell us
            await asyncio.sleep(0.02)


# The ledger


@pytest.mark.parametrize("user", USERS)
async def test_each_user_appends_the_events_of_its_work_and_no_others(
    login: Login, user: str
) -> None:
    client = await login(user)
    names = {tag_of(type_).rpartition(".")[0] for type_ in EVENT_TYPES}

    appended = {name for name in names if await may_append(client, *name.split("."))}

    work = {*MAY_APPEND.get(user, "").split()} | (SET_ASIDE if user in WORKERS else set())
    assert appended == (names if user == "operator" else work)


async def may_append(client: Client, aggregate: str, event: str) -> bool:
    """Tries it with an expectation that no ledger meets, so that nothing is stored."""
    nowhere = {"Nats-Expected-Last-Sequence": "1000000000"}
    try:
        refused = await publish(client, subject(aggregate, uuid4(), event), b"", nowhere)
    except PermissionError:
        return False
    assert refused.err_code == WRONG_LAST_SEQUENCE
    return True


async def test_only_the_auditor_and_the_operator_may_note_an_access(login: Login) -> None:
    noted = {user for user in USERS if await may_append(await login(user), "access", "noted")}

    assert noted == {"auditor", "operator"}


@pytest.mark.parametrize("size", [1, 2])
async def test_a_forbidden_append_is_told_by_the_ledger_itself(login: Login, size: int) -> None:
    ledger = JetStreamLedger(await login("auditor"))

    with pytest.raises(PermissionError, match=r"may not publish to `ictus\.ev\.>`"):
        await ledger.append(new_request(), [commit_to(uuid4(), *"ab"[:size])])


@pytest.mark.parametrize("user", sorted(WORKERS | READERS | {"witness"}))
async def test_those_who_read_histories_can(admin: Client, login: Login, user: str) -> None:
    person = uuid4()
    await JetStreamLedger(admin).append(new_request(), [commit_to(person, "a", "b")])
    ledger = JetStreamLedger(await login(user))

    assert notices(await ledger.load("person", person)) == ["a", "b"]
    assert (await ledger.head()).sequence >= 2
    assert [r for r in await read(ledger, aggregate="person") if r.aggregate_id == person]


@pytest.mark.parametrize("user", sorted(USERS))
async def test_only_readers_replay_the_whole_ledger(login: Login, user: str) -> None:
    ledger = JetStreamLedger(await login(user))

    if user in READERS:
        assert [each.sequence for each in await read(ledger)][:3] == [1, 2, 3]
    else:
        with pytest.raises(PermissionError):
            await read(ledger)


async def test_the_witness_reads_messages_and_the_places_of_consumers(login: Login) -> None:
    messages = JetStreamMessages(await login("witness"))

    assert (await messages.head()).sequence
    assert [each.sequence async for each in messages.read(1, 3)] == [1, 2, 3]
    await messages.durables()


@pytest.mark.parametrize("user", USERS)
async def test_nobody_may_take_reshape_or_copy_what_is_kept(login: Login, user: str) -> None:
    client = await login(user)
    ledger = JetStreamLedger(await login("auditor"))
    before = await ledger.head()

    for verb in FORBIDDEN_TO_ALL:
        with pytest.raises(PermissionError, match=r"may not publish to `\$JS\.API\."):
            await ask(client, f"$JS.API.{verb}", b"{}")

    assert await ledger.head() == before


@pytest.mark.parametrize("user", USERS)
async def test_nobody_has_an_answer_stored_as_an_event_or_a_message(
    admin: Client, login: Login, user: str
) -> None:
    client = await login(user)
    streams = [LEDGER, INBOX, OUTBOX, f"KV_{KEYS_BUCKET}"]
    places = [subject("case", uuid4(), "opened"), "ictus.in.x", "ictus.out.x", "$KV.ICTUS_KEYS.x"]
    before = [await last_of(admin, stream) for stream in streams]

    for place in places:
        for asked, wish in (
            (f"$JS.API.STREAM.INFO.{LEDGER}", b""),
            (f"$JS.API.STREAM.MSG.GET.{LEDGER}", b'{"seq":1}'),
            (f"$JS.API.DIRECT.GET.{LEDGER}", b'{"seq":1}'),
            (f"$JS.API.CONSUMER.MSG.NEXT.{LEDGER}.copy", b"1"),
        ):
            await client.publish(asked, wish, reply=place)
    await client.flush()
    await admin.flush()

    assert [await last_of(admin, stream) for stream in streams] == before


async def last_of(client: Client, stream: str) -> int:
    return (await jetstream(client).stream_info(stream)).state.last_seq


async def test_a_reader_cannot_have_events_pushed_into_a_queue(admin: Client, login: Login) -> None:
    reader = await login("projector")
    before = await last_of(admin, OUTBOX)
    pushed = ConsumerConfig(
        name=f"push-{uuid4().hex}",
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        deliver_subject="ictus.out.pushed",
    )

    made = await jetstream(reader).add_consumer(LEDGER, pushed)
    await JetStreamLedger(admin).append(new_request(), [commit_to(uuid4(), "a")])
    assert len(await read(JetStreamLedger(reader)))

    assert await last_of(admin, OUTBOX) == before
    await jetstream(admin).delete_consumer(LEDGER, made.name)


@pytest.mark.parametrize("user", sorted(READERS))
async def test_a_reader_cannot_take_a_workers_events_away(login: Login, user: str) -> None:
    client = await login(user)

    for durable in ("ingest", "schedule", "answer"):
        for verb in ("CREATE", "MSG.NEXT"):
            with pytest.raises(PermissionError):
                await ask(client, f"$JS.API.CONSUMER.{verb}.{LEDGER}.{durable}", b"{}")


# Queues


async def test_the_inbox_keeps_an_update_and_can_do_nothing_else(login: Login) -> None:
    client = await login("inbox")

    await JetStreamQueue(client).publish("ictus.in.telegram.1", b"update", message_id="1")

    with pytest.raises(PermissionError, match=r"may not publish to `ictus\.out\.>`"):
        await JetStreamQueue(client).publish("ictus.out.telegram.1", b"spam", message_id="1")
    with pytest.raises(PermissionError, match=r"STREAM\.INFO"):
        await JetStreamLedger(client).head()
    with pytest.raises(PermissionError):
        await BucketSlots(client).claim("note", b"")


@pytest.mark.parametrize("durable", sorted({*DURABLES} - {dataset_items.ROLE}))
async def test_each_worker_works_through_its_stream_and_sets_aside(
    admin: Client, login: Login, durable: str
) -> None:
    work = {
        LEDGER: subject("case", uuid4(), "tried"),
        INBOX: "ictus.in.telegram.2",
        OUTBOX: "ictus.out.telegram.2",
        SCHEDULE: "ictus.sched.due.inference.2",
    }[DURABLES[durable]]
    role = durable.removesuffix("-letters")
    user = {"schedule": "inference", "duplicates": "ingest"}.get(role, role)
    queue = JetStreamQueue(await login(user))
    if DURABLES[durable] != LEDGER:
        await publish(admin, work, b"work")
    else:
        work = "ictus.ev.*.person.>"
        await JetStreamLedger(admin).append(new_request(), [commit_to(uuid4(), "a")])

    async with aclosing(queue.consume(DURABLES[durable], durable, [work])) as deliveries:
        delivery = await anext(deliveries)
        await delivery.working()
        await delivery.ack()

    await queue.publish(f"ictus.dlq.{role}.x", b"letter", message_id=durable)
    assert await queue.latest(DEAD_LETTERS, f"ictus.dlq.{role}.x") == b"letter"
    with pytest.raises(PermissionError, match=r"ictus\.dlq"):
        await queue.publish("ictus.dlq.other.x", b"letter", message_id="other")
    with pytest.raises(PermissionError, match=r"DIRECT\.GET"):
        await queue.latest(DEAD_LETTERS, "ictus.dlq.other.x")


async def test_builders_ask_for_parts_of_datasets_and_only_their_worker_takes_them(
    login: Login,
) -> None:
    for user in USERS:
        queue = JetStreamQueue(await login(user))
        if user in ("operator", "researcher"):
            await queue.publish(f"ictus.dataset.{user}.0", b"item", message_id=user)
        else:
            with pytest.raises(PermissionError):
                await queue.publish("ictus.dataset.x.0", b"item", message_id=user)
    worker = JetStreamQueue(await login("dataset-worker"))
    items = worker.consume(DATASETS, dataset_items.ROLE, dataset_items.SUBJECTS)
    async with aclosing(items) as deliveries:
        for user in ("operator", "researcher"):
            delivery = await anext(deliveries)
            assert delivery.subject == f"ictus.dataset.{user}.0"
            await delivery.working()
            await delivery.ack()


async def test_only_workers_see_and_change_who_waits(login: Login) -> None:
    for user in USERS:
        board = BucketBoard(await login(user))
        if user in WORKERS:
            _, version = await board.read("line")
            assert await board.write("line", user.encode(), version)
        else:
            with pytest.raises(PermissionError):
                await board.read("line")
            with pytest.raises(PermissionError):
                await board.write("line", b"other", 0)


async def test_only_inference_schedules_and_only_speakers_speak(login: Login) -> None:
    for user in USERS:
        queue = JetStreamQueue(await login(user))
        if user == "inference":
            await queue.schedule("x", 3600, "ictus.sched.due.inference.x", b"due")
        else:
            with pytest.raises(PermissionError):
                await queue.schedule("x", 3600, "ictus.sched.due.inference.x", b"due")
        if user in ("bot", "answer"):
            await queue.publish("ictus.out.telegram.3", b"hello", message_id=user)
        else:
            with pytest.raises(PermissionError):
                await queue.publish("ictus.out.telegram.3", b"hello", message_id=user)


async def test_only_the_outbox_knows_what_was_sent(login: Login) -> None:
    for user in USERS:
        slots = BucketSlots(await login(user))
        if user == "outbox":
            assert await slots.claim("said.1", b"sending")
            assert await slots.get("said.1") == b"sending"
        else:
            with pytest.raises(PermissionError):
                await slots.get("said.1")
            with pytest.raises(PermissionError):
                await slots.put("said.1", b"other")


# The vault


@pytest.mark.parametrize("user", USERS)
async def test_the_vault_opens_to_those_who_must_and_to_nobody_else(
    admin: Client, login: Login, user: str
) -> None:
    key = f"case/{uuid4()}"
    sealed = await NatsVault(admin, MASTER).seal(key, "aad", "secret")
    vault = NatsVault(await login(user), MASTER)

    if user in UNSEALERS:
        assert await vault.unseal(sealed, "aad") == "secret"
    else:
        with pytest.raises(PermissionError, match=r"DIRECT\.GET"):
            await vault.unseal(sealed, "aad")
    if user in SEALERS:
        await vault.seal(f"case/{uuid4()}", "aad", "new")
    else:
        with pytest.raises(PermissionError):
            await vault.seal(f"case/{uuid4()}", "aad", "new")
    if user in ERASERS:
        await vault.destroy(key)
        with pytest.raises(Erased):
            await NatsVault(admin, MASTER).unseal(sealed, "aad")
    else:
        with pytest.raises(PermissionError):
            await vault.destroy(key)
        assert await NatsVault(admin, MASTER).unseal(sealed, "aad") == "secret"


async def test_a_reader_of_the_ledger_cannot_ask_for_the_keys_in_its_place(login: Login) -> None:
    wish = {"stream_name": f"KV_{KEYS_BUCKET}", "config": {"name": "copy", "ack_policy": "none"}}

    answered = await ask(
        await login("auditor"), f"$JS.API.CONSUMER.CREATE.{LEDGER}.copy", json.encode(wish)
    )

    assert "error" in json.decode(answered.data)


# Answers


@pytest.mark.parametrize("user", USERS)
async def test_nobody_hears_the_answers_to_others_or_the_work_as_it_passes(
    login: Login, user: str
) -> None:
    client = await login(user)
    other = "answer" if user == "bot" else "bot"
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    for place in (f"_INBOX_{other}.>", "_INBOX.>", ">", "ictus.>", "$KV.>", "$JS.>"):
        await client.subscribe(place, cb=hear)
        # A flush may overtake what is subscribed just before it, two do not.
        await client.flush()
        await client.flush()
        refusal = f'permissions violation for subscription to "{place}"'
        assert refusal.lower() in str(client.last_error).lower()
    await JetStreamLedger(await login(other)).head()
    await client.flush()

    assert not heard
