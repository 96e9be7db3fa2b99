"""The composition root: settings, wiring, roles, the command line. Imports all; nobody imports it."""
