"""Faults at every boundary, and a judge that asks Xero and the platform alone.

``python -m tests.faults --seeds N --json FILE``: scenarios in one process, a fault at
every I/O boundary, alone and in pairs.
"""
