"""A faithful stand-in for Xero, and a member platform to rehearse with.

It imports nothing of the daemon: it must not share the daemon's mistakes.
"""

from sandbox.clock import AdjustableClock, Clock, SimulatedClock
from sandbox.control import Control, Refused
from sandbox.sandbox import Sandbox
from sandbox.xero.app import App
from sandbox.xero.limits import Limits
from sandbox.xero.organisation import Organisation

__all__ = [
    "AdjustableClock",
    "App",
    "Clock",
    "Control",
    "Limits",
    "Organisation",
    "Refused",
    "Sandbox",
    "SimulatedClock",
]
