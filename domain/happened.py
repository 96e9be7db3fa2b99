"""What every event is: a fact, immutable, stored under the name and version in its tag."""

from msgspec import Struct


class Happened(Struct, frozen=True, gc=False, tag_field="event"):
    """The garbage collector need not look at events: nothing immutable is part of itself."""
