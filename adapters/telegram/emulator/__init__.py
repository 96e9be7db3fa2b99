"""An emulator of Telegram's Bot API and of the people who write to the bot, for demo and tests."""

from adapters.telegram.emulator.faults import Fault
from adapters.telegram.emulator.people import Attachment, User
from adapters.telegram.emulator.server import Emulator

__all__ = ["Attachment", "Emulator", "Fault", "User"]
