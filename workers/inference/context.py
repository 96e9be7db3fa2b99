"""What is known beside the images, as numbers for a model."""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from domain.stroke import CONTEXT

UNKNOWN = "unknown"


class Context(Struct, frozen=True, kw_only=True):
    """Answers by their question's code in `domain.stroke.CONTEXT`; ValueError for any other answer."""

    af: str = UNKNOWN
    age_band: str = UNKNOWN

    def __post_init__(self) -> None:
        for code in self.__struct_fields__:
            if getattr(self, code) not in CONTEXT[code]:
                known = ", ".join(CONTEXT[code])
                raise ValueError(f"{code} is one of {known}, not {getattr(self, code)!r}")

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """From a case's or a row's context, most of which no model uses."""
        return cls(**{code: given[code] for code in cls.__struct_fields__ if code in given})

    def vector(self, uses: Mapping[str, Sequence[str]]) -> NDArray[np.float32]:
        """One place for each answer that counts, float32: all zero where nothing is known."""
        places = [
            getattr(self, code) == answer for code, answers in uses.items() for answer in answers
        ]
        return np.array(places, np.float32)

    def used(self, uses: Mapping[str, object]) -> dict[str, str]:
        """The answers that a model which uses these questions was told."""
        return {code: getattr(self, code) for code in uses}
