"""Where requests become forwards. The scheduler that merges them will implement the same `Engine`."""

from .engine import AsyncModel, Engine, Model, Outputs, Work
from .serial import SerialEngine
from .thread import ModelThread

__all__ = ["AsyncModel", "Engine", "Model", "ModelThread", "Outputs", "SerialEngine", "Work"]
