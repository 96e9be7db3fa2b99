"""The update queue of the emulated bot: long polling, webhook, 24 hours of memory."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import ClientError, ClientSession, ClientTimeout

from adapters.telegram.emulator.rules import Json, Refusal

Clock = Callable[[], datetime]

RETENTION = timedelta(hours=24)
BATCH_MAX = 100
POLL_SECONDS_MAX = 50
CONFIRMED_MAX = 10_000  # kept so that a test can have one delivered again
WEBHOOK_SECONDS_MAX = 60
RETRY_SECONDS_MAX = 60.0

POLLED_ELSEWHERE = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)
WEBHOOK_SET = "Conflict: terminated by setWebhook request"
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


@dataclass
class Webhook:
    """Where updates are pushed, and the last failure, as `WebhookInfo` tells them."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    last_error_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True)
class Pending:
    """One update as it was when it happened."""

    id: int
    at: datetime
    body: Json


@dataclass
class Updates:
    """Unconfirmed updates in order, and who may take them."""

    clock: Clock
    last_id: int
    on_delivery: Callable[[], None]
    retry_seconds: float = 1.0
    allowed: frozenset[str] | None = None
    webhook: Webhook | None = None
    pending: list[Pending] = field(default_factory=list)
    repeated: list[Pending] = field(default_factory=list)
    confirmed: deque[Pending] = field(default_factory=lambda: deque(maxlen=CONFIRMED_MAX))

    def __post_init__(self) -> None:
        self._stirred = asyncio.Event()
        self._turn, self._lost_turn = 0, ""

    def add(self, kind: str, body: Json) -> int | None:
        """Queues one update; None when the bot did not ask for this kind."""
        if self.allowed is not None and kind not in self.allowed:
            return None
        self.last_id += 1
        frozen = json.loads(json.dumps({"update_id": self.last_id, kind: body}))
        self.pending.append(Pending(self.last_id, self.clock(), frozen))
        self._stir()
        return self.last_id

    def repeat(self, update_id: int) -> bool:
        """Delivers a confirmed update once more, whatever the offset; False when unknown."""
        known = [update for update in self.confirmed if update.id == update_id]
        self.repeated += known[-1:]
        self._stir()
        return bool(known)

    def waiting(self) -> list[Pending]:
        """What is still to be delivered; updates older than 24 hours are forgotten."""
        oldest = self.clock() - RETENTION
        self.pending = [update for update in self.pending if update.at > oldest]
        return self.repeated + self.pending

    def drop(self) -> None:
        self.pending.clear()
        self.repeated.clear()

    async def poll(self, offset: int, limit: int, seconds_max: float) -> list[Json]:
        """The answer of getUpdates: confirms all below `offset`, waits for at least one update.

        A poll that another one (or a webhook) overtakes ends with 409, as at Telegram.
        """
        if self.webhook:
            raise Refusal(409, WEBHOOK_ACTIVE)
        mine = self._take_turn(POLLED_ELSEWHERE)
        self._confirm(offset)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(max(seconds_max, 0), POLL_SECONDS_MAX)
        while not (batch := self.waiting()[: min(max(limit, 1), BATCH_MAX)]):
            if loop.time() >= deadline:
                break
            await self._wait(deadline - loop.time())
            if self._turn != mine:
                raise Refusal(409, self._lost_turn)
        self.repeated = [update for update in self.repeated if update not in batch]
        return [update.body for update in batch]

    def set_webhook(self, webhook: Webhook | None) -> None:
        self.webhook = webhook
        if webhook:
            self._take_turn(WEBHOOK_SET)

    def close(self) -> None:
        """Ends a waiting poll, so that the server can stop."""
        self._take_turn("Conflict: the server stops")

    async def push(self) -> None:
        """Posts updates to the webhook one after the other, each until it is answered by 2xx.

        The pause doubles with every failure; a new update or another webhook ends it.
        """
        failures = 0
        async with ClientSession(timeout=ClientTimeout(total=WEBHOOK_SECONDS_MAX)) as session:
            while True:
                if not (self.webhook and self.waiting()):
                    failures = 0
                    await self._stirred.wait()
                elif await self._post(session, self.webhook, self.waiting()[0]):
                    failures = 0
                else:
                    failures += 1
                    pause = self.retry_seconds * 2 ** min(failures - 1, 16)
                    await self._wait(min(pause, RETRY_SECONDS_MAX))

    async def _post(self, session: ClientSession, webhook: Webhook, update: Pending) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret_token}
        sent = headers if webhook.secret_token else {}
        try:
            async with session.post(
                webhook.url, json=update.body, headers=sent, allow_redirects=False
            ) as answer:
                accepted = 200 <= answer.status <= 299
                failure = "" if accepted else f"{answer.status} {answer.reason}"
        except (ClientError, TimeoutError) as error:
            failure = type(error).__name__
        if failure:
            webhook.last_error_at = self.clock()
            webhook.last_error = f"Wrong response from the webhook: {failure}"
        else:
            self._done(update)
        return not failure

    def _done(self, update: Pending) -> None:
        queue = self.repeated if update in self.repeated else self.pending
        if update in queue:  # a dropped queue may have forgotten it meanwhile
            queue.remove(update)
        self.confirmed.append(update)
        self.on_delivery()

    def _confirm(self, offset: int) -> None:
        if offset < 0:  # the last -offset updates stay, the others are forgotten
            offset = self.pending[offset:][0].id if self.pending else 0
        self.confirmed.extend(update for update in self.pending if update.id < offset)
        self.pending = [update for update in self.pending if update.id >= offset]

    def _take_turn(self, reason: str) -> int:
        self._turn, self._lost_turn = self._turn + 1, reason
        self._stir()
        return self._turn

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = asyncio.Event()

    async def _wait(self, seconds_max: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await self._stirred.wait()
