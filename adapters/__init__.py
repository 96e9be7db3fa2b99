"""Technology: what talks to NATS, Postgres, object stores and messengers."""
