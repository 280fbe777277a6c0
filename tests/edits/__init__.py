"""Edits of members on both sides, in any order, with a judge of where they end.

The daemon, Redis and the sandbox are those of the fault lab: one thread, and a clock
that moves when nobody has anything to do.
"""
