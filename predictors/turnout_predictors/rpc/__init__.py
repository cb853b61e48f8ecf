"""V2 over gRPC: kserve's messages, the engine and the errors of HTTP. Imported only where `--grpc_port` is given."""
