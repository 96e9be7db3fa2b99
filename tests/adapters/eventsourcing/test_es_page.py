"""docs/research.md, executed against a real ledger."""

import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.streams import provision
from domain.case import LabelConfirmed, LabelRevised
from domain.events import CASE, fold
from tests.givens import Given
from tests.servers import NatsServer

PAGE = Path(__file__).parents[3] / "docs" / "research.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def test_the_page_for_researchers_says_what_is_true(
    fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await connect(fresh_nats.url, "page") as client:
        await provision(client, "demo")
        ledger = JetStreamLedger(client)
        await Given(ledger).ward(6)
        recorded = [each async for each in ledger.read()]
    monkeypatch.setenv("NATS_URL", fresh_nats.url)
    monkeypatch.setenv("PERSISTENCE_MODULE", "")

    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, notebook.__name__, notebook)

    said = read_aloud(PAGE, notebook)

    case = said["cases"][0]
    history = [each for each in recorded if each.aggregate_id == case]
    state = fold(CASE, history)
    assert said["head"] == len(recorded)
    assert [(version, kind) for version, _, kind in said["timeline"]] == [
        (version, type(each.event).__name__) for version, each in enumerate(history, start=1)
    ]
    assert (said["cause"], said["images"]) == (state.label.cause, len(state.usable))
    assert said["early"].state == fold(CASE, history[:3])
    assert [event.recorded for event in said["known_then"]] == history[:2]
    assert said["kinds"] == Counter(each.envelope.type for each in recorded)
    causes = {
        each.aggregate_id: each.event.cause
        for each in recorded
        if isinstance(each.event, LabelConfirmed | LabelRevised)
    }
    assert said["label_counts"] == Counter(causes.values())
    assert len(causes) > 2
    assert said["remarks"] == ["cortical, several territories"]


def read_aloud(page: Path, into: ModuleType) -> dict[str, Any]:
    """Every name the page's blocks leave behind, run one after the other."""
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, page.name, "exec"), vars(into))
    return vars(into)
