"""Seasons: planned before the first call, and carried out as planned."""
