"""The witness: sees every event once, signs what it saw, keeps a second copy, notices any change."""
