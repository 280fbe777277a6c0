"""What the daemon does: contacts, invoices, payments. No Redis, no Dramatiq."""
