"""What every queue and every set of slots must do, in memory and on a real NATS server."""
