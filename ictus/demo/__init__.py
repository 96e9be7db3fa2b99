"""The demo: synthetic clinicians, the real bot code, every role, and what came of it."""
