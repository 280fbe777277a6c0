"""Which contact each member is: decided, written down, and what follows from it."""
