"""`eventsourcing` applications on JetStream: `PERSISTENCE_MODULE=adapters.eventsourcing`."""

from adapters.eventsourcing.factory import JetStreamFactory

__all__ = ["JetStreamFactory"]
