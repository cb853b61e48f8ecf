"""What kserve's suites import and no test of theirs that is run here needs."""

import sys
import types


def stub(name: str, **content: object) -> None:
    """`name` can be imported, and has nothing but `content`."""
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def importable(rpc: object = None) -> None:
    """`rpc` stands for the gRPC server that the suite would have in its own process."""
    stub("ray", serve=types.SimpleNamespace(deployment=lambda kind: kind))
    stub("kserve.ray", RayModel=None)
    stub("grpc_testing", server_from_dictionary=lambda *_: rpc, strict_real_time=lambda: None)
