"""Reactors: they read an event or a message, do the work, and say what came of it."""
