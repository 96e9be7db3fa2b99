"""What went wrong, as a sentence on stderr and an exit code.

0 ok, 1 unexpected, 2 usage, 3 not found, 4 verification failed, 5 precondition or conflict,
6 dependency unavailable, 7 partial, 130 interrupted.
"""

import os
import sys
import traceback

OK, UNEXPECTED, USAGE, NOT_FOUND, UNVERIFIED, PRECONDITION, UNAVAILABLE, PARTIAL = range(8)
INTERRUPTED = 130

BY_NAME = {
    "AcceptanceRefused": USAGE,
    "AllRefused": PRECONDITION,
    "AlreadyRunning": PRECONDITION,
    "BadAudience": USAGE,
    "BadSeed": PRECONDITION,
    "BadSetting": USAGE,
    "BundleRefused": UNVERIFIED,
    "BadManifest": USAGE,
    "BadProfile": USAGE,
    "BadTime": USAGE,
    "CannotTest": PRECONDITION,
    "CannotTrain": PRECONDITION,
    "Conflict": PRECONDITION,
    "Damaged": UNVERIFIED,
    "DatasetRefused": UNVERIFIED,
    "Erased": NOT_FOUND,
    "Missing": NOT_FOUND,
    "NotConfigured": USAGE,
    "NotConfirmed": USAGE,
    "NotSaid": USAGE,
    "NotTheSame": UNVERIFIED,
    "NoSuchCase": NOT_FOUND,
    "NotInstalled": UNAVAILABLE,
    "PermissionError": PRECONDITION,
    "Poisoned": PRECONDITION,
    "Refused": PRECONDITION,
    "Taken": PRECONDITION,
    "Unavailable": UNAVAILABLE,
    "Unfit": PRECONDITION,
    "Unwritable": PRECONDITION,
}
"""By class name, bases included, so that nothing needs importing to say that nothing is wrong."""


def exit_code(error: BaseException) -> int:
    """Tells the error on stderr unless it ends the process on purpose."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else UNEXPECTED
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError":
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader left. What is still buffered must go somewhere when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    if isinstance(error, BaseExceptionGroup):
        return exit_code(error.exceptions[0])
    for kind in type(error).__mro__:
        if kind.__name__ in BY_NAME:
            sys.stderr.write(f"ictus: {error}\n")
            return BY_NAME[kind.__name__]
    sys.stderr.write(
        "ictus: this should not have happened; please report it with the lines below\n"
    )
    traceback.print_exception(error, file=sys.stderr)
    return UNEXPECTED
