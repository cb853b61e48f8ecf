"""What the process can do at this moment, as probes and requests see it.

Loading → serving → draining, one way only. *Live* is not here: who can answer at all is live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_predictors.batching.door import Door
from turnout_predictors.batching.engine import Engine, Outputs
from turnout_predictors.errors import Unavailable
from turnout_predictors.telemetry.payloads import PayloadLog
from turnout_predictors.telemetry.traces import Traces

from .contract import Contract
from .effective import Effective, of_request
from .tenants import TenantSettings


@dataclass(frozen=True, slots=True)
class Serving:
    """A loaded and warm model, with the answers that never change."""

    contract: Contract
    engine: Engine
    metadata: bytes
    examples: bytes
    count: Callable[[Outputs], None] | None = None  # takes in what was answered, for drift; raises nothing
    tenants: TenantSettings | None = None
    payloads: PayloadLog | None = None
    traces: Traces | None = None

    def settings_for(self, parameters: Mapping[str, Any], tenant: str) -> Effective:
        """What a request is answered under."""
        base = self.contract.base if self.tenants is None or not tenant else self.tenants.of(tenant)
        return of_request(parameters, base) if parameters else base


class Lifecycle:
    """Written by the process, read by the server; both on the event loop."""

    def __init__(self, waiting_limit: int = 1024) -> None:
        self.serving: Serving | None = None
        self.is_draining = False
        self._loaded = asyncio.Event()
        self._door = Door(waiting_limit)

    def serve(self, serving: Serving) -> None:
        self.serving = serving
        self._loaded.set()

    def drain(self) -> None:
        """No way back; who still waits for the model is told at once."""
        self.is_draining = True
        self._loaded.set()

    def unready(self) -> str | None:
        """Why no traffic should come here; None if it should."""
        if self.serving is None:
            return "the model is loading"
        if self.is_draining:
            return "the process is draining"
        if self.serving.engine.is_hung():
            return "a forward has outlived its deadline"
        return None

    async def await_serving(self, seconds: float, tenant: str = "") -> Serving:
        """Waits for a cold model within the request's deadline; Unavailable after that."""
        if why := self._door.refusal(tenant):
            raise Unavailable(f"the model is loading, and {why}")
        self._door.enter(tenant)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._loaded.wait()
        except TimeoutError:
            raise Unavailable("the model is still loading; try again") from None
        finally:
            self._door.leave(tenant)
        if self.serving is None:
            raise Unavailable("the process ends before its model was loaded; try again", "draining")
        return self.serving
