"""The test of a model before anybody may be answered by it; apart from the app, without torch."""
