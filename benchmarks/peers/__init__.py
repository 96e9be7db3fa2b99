"""The contenders: each measures itself in a process of its own, with the same payloads."""
