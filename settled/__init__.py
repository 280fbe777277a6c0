"""The daemon: composition root and command line."""
