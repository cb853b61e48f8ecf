import pytest

from tests.rollout.invariants import Invariants
from tests.rollout.world import World, serving


@pytest.fixture
def world() -> World:
    """Nothing yet; every plan is held against the invariants."""
    return World(check=Invariants())


@pytest.fixture
def served() -> World:
    """signals-1 is Live."""
    return serving(1, check=Invariants())
