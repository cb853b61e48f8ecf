"""What is served here, told to tools that were given no .proto: `grpc.reflection.v1` and its older name.

Not grpcio-reflection: as of 1.85 it serves the older name only, which new tools ask second if at all, and it wants
protobuf 7, where kserve 0.21 wants an older one. What it has is small, so its messages are declared here, in a pool of
their own: the process's pool may get them from that package as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_VERSIONS: Final = ("v1", "v1alpha")
_NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND.value[0]
_UNIMPLEMENTED: Final = grpc.StatusCode.UNIMPLEMENTED.value[0]
_LOOK_SECONDS: Final = 1.0
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "int32": _FIELD.TYPE_INT32}
_File = Any  # a FileDescriptorProto; protobuf ships no types


def _file(name: str, package: str) -> _File:
    return descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")


def _message(file: _File, name: str, **fields: str) -> None:
    """`field_3="string"` each; `*` repeats, `|` is of the message's one choice, other types are of the same file."""
    message = file.message_type.add(name=name)
    if any(kind.endswith("|") for kind in fields.values()):
        message.oneof_decl.add(name="choice")
    for field, kind in fields.items():
        plain, _, number = field.rpartition("_")
        bare = kind.rstrip("*|")
        added = message.field.add(name=plain, number=int(number))
        added.label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
        added.type = _SCALARS.get(bare, _FIELD.TYPE_MESSAGE)
        if bare not in _SCALARS:
            added.type_name = f".{file.package}.{bare}"
        if kind.endswith("|"):
            added.oneof_index = 0


def _health() -> _File:
    file = _file("grpc/health/v1/health.proto", "grpc.health.v1")
    _message(file, "HealthCheckRequest", service_1="string")
    answer = file.message_type.add(name="HealthCheckResponse")
    statuses = answer.enum_type.add(name="ServingStatus")
    for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        statuses.value.add(name=name, number=number)
    answer.field.add(
        name="status",
        number=1,
        type=_FIELD.TYPE_ENUM,
        label=_FIELD.LABEL_OPTIONAL,
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
    )
    service = file.service.add(name="Health")
    types = {"input_type": ".grpc.health.v1.HealthCheckRequest", "output_type": ".grpc.health.v1.HealthCheckResponse"}
    service.method.add(name="Check", **types)
    service.method.add(name="Watch", server_streaming=True, **types)
    return file


def _reflection(version: str) -> _File:
    package = f"grpc.reflection.{version}"
    file = _file(f"grpc/reflection/{version}/reflection.proto", package)
    _message(file, "ExtensionRequest", containing_type_1="string", extension_number_2="int32")
    _message(
        file,
        "ServerReflectionRequest",
        host_1="string",
        file_by_filename_3="string|",
        file_containing_symbol_4="string|",
        file_containing_extension_5="ExtensionRequest|",
        all_extension_numbers_of_type_6="string|",
        list_services_7="string|",
    )
    _message(file, "FileDescriptorResponse", file_descriptor_proto_1="bytes*")
    _message(file, "ExtensionNumberResponse", base_type_name_1="string", extension_number_2="int32*")
    _message(file, "ServiceResponse", name_1="string")
    _message(file, "ListServiceResponse", service_1="ServiceResponse*")
    _message(file, "ErrorResponse", error_code_1="int32", error_message_2="string")
    _message(
        file,
        "ServerReflectionResponse",
        valid_host_1="string",
        original_request_2="ServerReflectionRequest",
        file_descriptor_response_4="FileDescriptorResponse|",
        all_extension_numbers_response_5="ExtensionNumberResponse|",
        list_services_response_6="ListServiceResponse|",
        error_response_7="ErrorResponse|",
    )
    service = file.service.add(name="ServerReflection")
    service.method.add(
        name="ServerReflectionInfo",
        input_type=f".{package}.ServerReflectionRequest",
        output_type=f".{package}.ServerReflectionResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file


class Reflection:
    """`served`: the serialized descriptors of what else is served."""

    def __init__(self, served: bytes, is_draining: Callable[[], bool]) -> None:
        self._is_draining = is_draining
        inference = descriptor_pb2.FileDescriptorProto.FromString(served)
        files = [inference, _health(), *map(_reflection, _VERSIONS)]
        self._pool = descriptor_pool.DescriptorPool()
        self._files: dict[str, bytes] = {file.name: file.SerializeToString() for file in files}
        for raw in self._files.values():
            self._pool.AddSerializedFile(raw)
        self.services = sorted(f"{file.package}.{service.name}" for file in files for service in file.service)

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        return [
            grpc.method_handlers_generic_handler(
                f"grpc.reflection.{version}.ServerReflection", {"ServerReflectionInfo": self._handler(version)}
            )
            for version in _VERSIONS
        ]

    def _handler(self, version: str) -> Any:
        asked, told = (
            message_factory.GetMessageClass(
                self._pool.FindMessageTypeByName(f"grpc.reflection.{version}.ServerReflection{side}")
            )
            for side in ("Request", "Response")
        )

        async def info(requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
            while (request := await self._next(requests)) is not None:
                answer = told(valid_host=request.host, original_request=request)
                self._fill(answer, request)
                yield answer

        return grpc.stream_stream_rpc_method_handler(info, asked.FromString, told.SerializeToString)

    async def _next(self, requests: AsyncIterator[Any]) -> Any:
        """None at the end, and when the process drains: it must not wait for who only keeps a stream open."""
        coming = asyncio.ensure_future(anext(requests, None))
        while not coming.done():
            await asyncio.wait({coming}, timeout=_LOOK_SECONDS)
            if not coming.done() and self._is_draining():
                coming.cancel()
                return None
        return coming.result()

    def _fill(self, answer: Any, request: Any) -> None:
        which = request.WhichOneof("choice")
        if which == "list_services":
            for name in self.services:
                answer.list_services_response.service.add(name=name)
        elif which in ("file_by_filename", "file_containing_symbol"):
            name = getattr(request, which)
            raw = self._files.get(name) if which == "file_by_filename" else self._containing(name)
            if raw is not None:
                answer.file_descriptor_response.file_descriptor_proto.append(raw)
                return
            answer.error_response.error_code = _NOT_FOUND
            answer.error_response.error_message = f"{name!r} is not served here"
        else:
            answer.error_response.error_code = _UNIMPLEMENTED
            answer.error_response.error_message = "proto3 has no extensions"

    def _containing(self, symbol: str) -> bytes | None:
        try:
            name: str = self._pool.FindFileContainingSymbol(symbol).name
        except KeyError:
            return None
        return self._files[name]
