"""Telegram: updates come in by the inbox, the bot makes commands of them, the outbox answers."""
