"""What happens: events, state, decisions. Pure: no I/O, no clock, no randomness, nothing of ours."""
