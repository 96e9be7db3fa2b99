"""What a person may not do; the world's failures live in commands/ports.py, bugs are plain exceptions.

Refused
├── NotYours      the case belongs to someone else
├── NotInvited    the person has no role that allows it
├── NoConsent     the research notice was not accepted yet
├── NoSuchCase    no case with that id or code
├── SameCase      a case is not another case of its own patient
├── IsErased      the case was erased, or its erasure has begun
├── Exhausted     the invitation was used up or has expired
└── NotHere       this ledger must not do that
"""


class Refused(Exception):
    """This cannot be done."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class NotYours(Refused):
    """This case belongs to another clinician."""


class NotInvited(Refused):
    """This person has no role that allows it: send them an invitation."""


class NoConsent(Refused):
    """The research notice was not accepted yet."""


class NoSuchCase(Refused):
    """There is no such case."""


class SameCase(Refused):
    """A case cannot be linked to itself."""


class IsErased(Refused):
    """This case was erased."""


class Exhausted(Refused):
    """This invitation was used up or has expired: ask for a new one."""


class NotPassed(Refused):
    """No passing test of this model is known: `ictus model test FOLDER --dataset DIR`, then
    `ictus model register FOLDER`, which takes the report along."""


class NotHere(Refused):
    """A synthetic demo model answers only in ledgers that `ictus demo` created."""
