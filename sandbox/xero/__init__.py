"""A stand-in for Xero: identity, accounting, limits, idempotency and webhooks."""
