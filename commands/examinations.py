"""The shipped advice catalogue: `examinations.toml`, read, validated and published."""

from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Annotated

from msgspec import Meta, Struct, convert

from commands.transact import Books, Target, transact_all
from domain.events import EXAMINATION, Request
from domain.examination import (
    Added,
    Block,
    Examination,
    ExaminationEvent,
    Text,
    When,
    examination_id,
    publish,
)
from domain.stroke import Answer

TO_BE_VERIFIED = "to be verified:"

Line = Annotated[str, Meta(min_length=1, max_length=120)]


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One examination as the file writes it; `af` and the conditions may be left out."""

    code: Annotated[str, Meta(pattern=r"^[a-z]+(\.[A-Za-z]+)?$")]
    name_ru: Line
    name_en: Line
    why_ru: Line
    why_en: Line
    blocks: Annotated[tuple[Block, ...], Meta(min_length=1)]
    priority: Annotated[int, Meta(ge=1, le=3)]
    source: Line
    verified: bool
    af: Annotated[tuple[Answer, ...], Meta(min_length=1)] = ("yes", "no", "unknown")
    condition_ru: Line | None = None
    condition_en: Line | None = None

    def __post_init__(self) -> None:
        if (self.condition_ru is None) != (self.condition_en is None):
            raise ValueError(f"{self.code}: the condition must be told in both languages")
        if self.verified == self.source.startswith(TO_BE_VERIFIED):
            raise ValueError(f"{self.code}: an unverified source must say `{TO_BE_VERIFIED}`")

    @property
    def added(self) -> Added:
        condition = None
        if self.condition_ru and self.condition_en:
            condition = Text(ru=self.condition_ru, en=self.condition_en)
        return Added(
            code=self.code,
            name=Text(ru=self.name_ru, en=self.name_en),
            why=Text(ru=self.why_ru, en=self.why_en),
            when=When(blocks=self.blocks, af=self.af, condition=condition),
            priority=self.priority,
            source=self.source,
            verified=self.verified,
        )


@cache
def catalogue() -> tuple[Added, ...]:
    """Every shipped examination, in the file's order. Raises msgspec.ValidationError for a bad file."""
    return parse((files("commands") / "examinations.toml").read_text("utf-8"))


def parse(toml: str) -> tuple[Added, ...]:
    rows = convert(loads(toml)["examination"], tuple[Row, ...])
    codes = [row.code for row in rows]
    if len(codes) != len(set(codes)):
        raise ValueError("two examinations have the same code")
    return tuple(row.added for row in rows)


async def publish_catalogue(books: Books, request: Request) -> bool:
    """Brings the ledger's examinations up to the shipped catalogue, in one batch; False if they are."""
    wanted = catalogue()
    targets = [Target(EXAMINATION, examination_id(added.code)) for added in wanted]

    def decide(*current: Examination) -> list[list[ExaminationEvent]]:
        return [publish(state, added) for state, added in zip(current, wanted, strict=True)]

    return await transact_all(books, request, targets, decide)
