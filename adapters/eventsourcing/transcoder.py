"""The library's JSON, in which a tuple, or a registered subclass of a JSON type, stays what it is."""

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import JSONTranscoder, Transcoding


class TupleAsList(Transcoding):
    type = tuple
    name = "tuple_as_list"

    def encode(self, obj: tuple[Any, ...]) -> list[Any]:
        return list(obj)

    def decode(self, data: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(data)


class ExactTranscoder(JSONTranscoder):
    """Reads what the library's own wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.register(TupleAsList())

    def encode(self, obj: Any) -> bytes:
        return super().encode(self._marked(obj))

    def _marked(self, obj: Any) -> Any:
        """The encoder itself asks only about types that JSON does not know."""
        kind = type(obj)
        if kind is dict:
            return {key: self._marked(value) for key, value in obj.items()}
        if kind is list:
            return [self._marked(value) for value in obj]
        if transcoding := self.types.get(kind):
            return {"_type_": transcoding.name, "_data_": self._marked(transcoding.encode(obj))}
        return obj
