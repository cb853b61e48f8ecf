"""The loop: a queue of keys, and workers that observe, decide, apply and record. It decides nothing."""

from turnout.controller.queue import Queue
from turnout.controller.reconcile import Controller, Decide

__all__ = ["Controller", "Decide", "Queue"]
