"""The simulated platform is a module of this folder, which importlib mode does not put on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from invariants import Invariants
from world import World, serving


@pytest.fixture
def world() -> World:
    """Nothing yet; every plan is held against the invariants."""
    return World(check=Invariants())


@pytest.fixture
def served() -> World:
    """signals-1 is Live."""
    return serving(1, check=Invariants())
