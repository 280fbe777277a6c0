"""Xero itself: the door, the tokens, and what its JSON means.

The only package that imports xero_python.
"""
