"""Engines: where versions run and how their traffic is split. One Protocol, two implementations, no decisions."""

from turnout.platform.protocol import Platform

__all__ = ["Platform"]
