"""Linking, withdrawing and erasing through the real commands, on ledger, vault and objects in memory."""

from uuid import UUID, uuid4

import pytest

from adapters.storage.memory import MemoryBlobs, MemoryLedger, MemoryVault
from commands import cases, objects
from commands.ports import Erased, Missing, Unavailable
from commands.transact import Books, from_outside
from domain.case import Case
from domain.errors import NoSuchCase, SameCase
from domain.events import Request
from domain.sealed import additional_data
from tests.givens import START

BY = uuid4()


class Clock:
    def now(self):  # type: ignore[no-untyped-def]
        return START


class Site:
    """Books and objects with cases in them."""

    def __init__(self) -> None:
        self.ledger, self.vault, self.blobs = MemoryLedger(), MemoryVault(), MemoryBlobs()
        self.books = Books(self.ledger, self.vault, Clock())

    def request(self) -> Request:
        return from_outside(self.books, uuid4(), "system", "test")

    async def case(self) -> UUID:
        """With one image, whose bytes are among the objects."""
        case = uuid4()
        await cases.submit_image(
            self.books,
            self.request(),
            case,
            item=uuid4(),
            by=BY,
            site="site-1",
            origin="bot",
            channel="photo",
            joined="first",
            sent=START,
            address="telegram:1",
            caption="a name",
        )
        await objects.store(self.blobs, self.vault, case, b"original", "original/")
        await objects.store(self.blobs, self.vault, case, b"derivative")
        return case

    async def state(self, case: UUID) -> Case:
        return await cases.load(self.books, case)

    async def names(self, case: UUID) -> list[str]:
        return [one.envelope.type.split(".")[2] for one in await self.ledger.load("case", case)]

    async def erase(self, case: UUID) -> bool:
        return await cases.erase(self.books, self.blobs, self.request(), case)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_both_cases_say_that_they_are_one_patient(site: Site) -> None:
    one, two = await site.case(), await site.case()
    assert await cases.link(site.books, site.request(), one, two, by=BY)
    assert ((await site.state(one)).linked, (await site.state(two)).linked) == ((two,), (one,))
    assert not await cases.link(site.books, site.request(), two, one, by=BY)
    assert await site.names(one) == ["opened", "image-submitted", "linked"]


async def test_a_link_needs_two_cases_of_this_ledger(site: Site) -> None:
    case, elsewhere = await site.case(), uuid4()
    with pytest.raises(SameCase):
        await cases.link(site.books, site.request(), case, case)
    for pair in ((case, elsewhere), (elsewhere, case)):
        with pytest.raises(NoSuchCase):
            await cases.link(site.books, site.request(), *pair)
    assert (await site.state(case)).linked == ()


async def test_after_erasure_key_and_objects_are_gone_and_other_cases_stay(site: Site) -> None:
    case, other = await site.case(), await site.case()
    before = await site.ledger.load("case", case)
    assert await site.erase(case)
    assert [key async for key in site.blobs.keys(f"case/{case}/")] == []
    with pytest.raises(Erased):
        await site.vault.seal(f"case/{case}", "anything", "new")
    (image,) = (await site.state(case)).images.values()
    file = image.submitted.file
    with pytest.raises(Erased):
        await site.vault.unseal(file, additional_data(before[1].id, "file"))
    assert (await site.ledger.load("case", case))[: len(before)] == before
    assert (await site.state(case)).erased
    assert len([key async for key in site.blobs.keys(f"case/{other}/")]) == 2


async def test_erasing_again_changes_nothing_but_removes_what_came_late(site: Site) -> None:
    case = await site.case()
    assert await site.erase(case)
    await site.blobs.put(f"case/{case}/late", b"boxed before the key was destroyed")
    assert not await site.erase(case)
    with pytest.raises(Missing):
        await site.blobs.get(f"case/{case}/late")
    assert (await site.names(case))[2:] == ["withdrawn", "erased"]


async def test_a_case_that_is_not_there_is_not_erased(site: Site) -> None:
    with pytest.raises(NoSuchCase):
        await site.erase(uuid4())


@pytest.mark.parametrize("step", ["destroy", "delete", "append"])
async def test_an_erasure_that_broke_off_is_seen_and_finished_by_asking_again(
    site: Site, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before the named step; the last one is the second append."""
    case = await site.case()
    appended: list[object] = []
    append = site.ledger.append

    async def dying(*_: object) -> None:
        raise Unavailable("died")

    async def dying_at_last(*arguments: object) -> int:
        if appended:
            raise Unavailable("died")
        appended.append(arguments)
        return await append(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        if step == "append":
            patched.setattr(site.ledger, "append", dying_at_last)
        else:
            patched.setattr(site.vault if step == "destroy" else site.blobs, step, dying)
        with pytest.raises(Unavailable):
            await site.erase(case)
    broken = await site.state(case)
    assert (broken.closed, broken.erased) == (True, False)
    assert await site.erase(case)
    assert (await site.state(case)).erased
    assert [key async for key in site.blobs.keys(f"case/{case}/")] == []
    assert (await site.names(case))[2:] == ["withdrawn", "erased"]
