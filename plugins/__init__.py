"""Which invoices, and what follows a payment. Rules and hooks; no I/O."""
