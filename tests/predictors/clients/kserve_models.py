"""The models of kserve's own suites as entry points of our processes: `kserve_models:test_server.DummyModel`.

Run as a script it is where such processes come from: for each line of arguments on standard input it forks one, and
writes its number. kserve and the suites are imported once then, and not for each of twenty.
"""

import json
import os
import signal
import sys
import threading

sys.argv = sys.argv[:1]  # kserve parses the command line when it is imported

import kserve  # noqa: E402
from kserve_stubs import importable  # noqa: E402

importable()

import test_grpc_server  # noqa: E402, F401
import test_server  # noqa: E402, F401


class Unloaded(kserve.Model):  # type: ignore[misc]  # kserve ships no types
    """Never loaded: what a model that was not loaded yet is for a process that loads its own."""

    def load(self) -> bool:
        threading.Event().wait()
        return False


def main() -> None:
    from turnout_predictors.__main__ import main as serve

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        number = os.fork()
        if not number:
            os._exit(serve(json.loads(line)))
        print(number, flush=True)


if __name__ == "__main__":
    sys.modules["kserve_models"] = sys.modules["__main__"]
    main()
