"""The streams on a real server: made once, checked at every start, refused when they differ."""
