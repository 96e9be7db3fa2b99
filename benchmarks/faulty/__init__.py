"""A faulty world for the ledger: a proxy that loses messages, servers that are killed, a judge."""
