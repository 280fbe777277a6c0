"""The books: the only package that imports peewee.

Tables and how they are read and written, by topic. Use cases call these functions
inside ``transaction()`` and get rows; nothing here knows Xero, Redis or a plugin.
"""
