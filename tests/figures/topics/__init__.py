"""The topics: one module each, with `collect`; its first line says what it shows."""
