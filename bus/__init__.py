"""How work moves: Redis streams, Dramatiq actors, relay, pump, shared counters."""
