"""What tools find on the gRPC port: reflection, with which grpcurl needs no .proto; TLS, with certificates renewed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.predictors.echo import Echo
from tests.predictors.test_rpc import PB, calling, infer
from turnout_predictors.errors import StartError
from turnout_predictors.rpc.reflection import Reflection
from turnout_predictors.rpc.stubs import SERVICE
from turnout_predictors.rpc.tls import Certificates, Tls

__all__ = ["calling"]  # a fixture


def stream(caller: Any, version: str) -> tuple[Any, Any]:
    """A reflection stream, and the class of its requests, from what the server itself says of reflection."""
    files = Reflection(PB.DESCRIPTOR.serialized_pb, lambda: False)._files
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(files[f"grpc/reflection/{version}/reflection.proto"])
    asked, told = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.reflection.{version}.ServerReflection{side}"))
        for side in ("Request", "Response")
    )
    call = caller.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=asked.SerializeToString,
        response_deserializer=told.FromString,
    )(timeout=20)
    return call, asked


async def reflected(call: Any, asked: Any, **question: Any) -> Any:
    await call.write(asked(**question))
    return await call.read()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_a_tool_without_a_proto_can_call(calling: Any, version: str) -> None:
    caller = await calling(Echo())
    call, asked = stream(caller, version)
    listed = await reflected(call, asked, list_services="*")
    names = [service.name for service in listed.list_services_response.service]
    assert {SERVICE, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= set(names)
    pool = descriptor_pool.DescriptorPool()
    for name in names:
        answer = await reflected(call, asked, file_containing_symbol=name)
        (raw,) = answer.file_descriptor_response.file_descriptor_proto
        pool.AddSerializedFile(raw)
        parsed = descriptor_pb2.FileDescriptorProto.FromString(raw)
        again = await reflected(call, asked, file_by_filename=parsed.name)
        assert again.file_descriptor_response == answer.file_descriptor_response
    await call.done_writing()
    method = pool.FindServiceByName(SERVICE).methods_by_name["ModelInfer"]
    request, response = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    infers = caller.channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    answer = await infers(request.FromString(infer(1, 2).SerializeToString()), timeout=20)
    assert list(answer.outputs[0].contents.fp32_contents) == [2, 4]


MESSAGES = """
ErrorResponse.error_code = 1 int32
ErrorResponse.error_message = 2 string
ExtensionNumberResponse.base_type_name = 1 string
ExtensionNumberResponse.extension_number = 2 int32*
ExtensionRequest.containing_type = 1 string
ExtensionRequest.extension_number = 2 int32
FileDescriptorResponse.file_descriptor_proto = 1 bytes*
ListServiceResponse.service = 1 ServiceResponse*
ServerReflectionRequest.all_extension_numbers_of_type = 6 string|
ServerReflectionRequest.file_by_filename = 3 string|
ServerReflectionRequest.file_containing_extension = 5 ExtensionRequest|
ServerReflectionRequest.file_containing_symbol = 4 string|
ServerReflectionRequest.host = 1 string
ServerReflectionRequest.list_services = 7 string|
ServerReflectionResponse.all_extension_numbers_response = 5 ExtensionNumberResponse|
ServerReflectionResponse.error_response = 7 ErrorResponse|
ServerReflectionResponse.file_descriptor_response = 4 FileDescriptorResponse|
ServerReflectionResponse.list_services_response = 6 ListServiceResponse|
ServerReflectionResponse.original_request = 2 ServerReflectionRequest
ServerReflectionResponse.valid_host = 1 string
ServiceResponse.name = 1 string
"""  # written out of the descriptor in grpcio-reflection 1.85.1; * repeats, | is of a choice


def told(message: Any, field: Any) -> str:
    scalars = {field.TYPE_INT32: "int32", field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes"}
    kind = scalars.get(field.type) or field.type_name.rpartition(".")[2]
    repeats = "*" if field.label == field.LABEL_REPEATED else ""
    return f"{message.name}.{field.name} = {field.number} {kind}{repeats}{'|' if field.HasField('oneof_index') else ''}"


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_the_messages_are_those_of_the_protocol(version: str) -> None:
    """Both ends of the other tests are made of our own declaration: a wrong number would pass there."""
    files = Reflection(PB.DESCRIPTOR.serialized_pb, lambda: False)._files
    file = descriptor_pb2.FileDescriptorProto.FromString(files[f"grpc/reflection/{version}/reflection.proto"])
    found = sorted(told(message, field) for message in file.message_type for field in message.field)
    assert "\n".join(found) == MESSAGES.strip()
    (service,) = file.service
    (method,) = service.method
    assert (file.package, service.name, method.name) == (
        f"grpc.reflection.{version}",
        "ServerReflection",
        "ServerReflectionInfo",
    )
    assert method.client_streaming
    assert method.server_streaming


UNKNOWN = {
    "a symbol": ({"file_containing_symbol": "x.Y"}, grpc.StatusCode.NOT_FOUND),
    "a file": ({"file_by_filename": "x.proto"}, grpc.StatusCode.NOT_FOUND),
    "extensions": ({"all_extension_numbers_of_type": SERVICE}, grpc.StatusCode.UNIMPLEMENTED),
}


@pytest.mark.parametrize(("question", "status"), UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_reflection_does_not_know(calling: Any, question: Any, status: grpc.StatusCode) -> None:
    call, asked = stream(await calling(Echo()), "v1")
    assert (await reflected(call, asked, **question)).error_response.error_code == status.value[0]
    call.cancel()


async def test_a_stream_that_stays_open_does_not_hold_up_the_drain(calling: Any) -> None:
    caller = await calling(Echo())
    call, asked = stream(caller, "v1")
    await reflected(call, asked, list_services="")
    caller.server.lifecycle.drain()
    assert await call.read() is grpc.aio.EOF


class Authority:
    """Signs certificates for this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        self.certificate = self._signed(self.name, self.key.public_key(), is_authority=True)
        self.path = self._write("ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _write(self, name: str, raw: bytes) -> str:
        (self.folder / name).write_bytes(raw)
        return str(self.folder / name)

    def _signed(self, name: x509.Name, public: Any, *, is_authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        built = x509.CertificateBuilder(self.name, name, public, x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        built = built.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return built.sign(self.key, hashes.SHA256())

    def issue(self, name: str) -> tuple[str, str]:
        """Files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key.public_key(), is_authority=False)
        plain = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return (
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", key.private_bytes(*plain)),
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def live(address: str, *credentials: bytes) -> bool:
    """Asks over TLS; credentials: the authority's certificate, then the caller's key and certificate."""
    target = address.replace("127.0.0.1", "localhost")
    async with grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*credentials)) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ServerLive", response_deserializer=PB.ServerLiveResponse.FromString)
        return bool((await call(b"", timeout=20)).live)


async def test_tls_and_a_certificate_that_is_renewed(calling: Any, authority: Authority, tmp_path: Path) -> None:
    caller = await calling(Echo(), Tls(*authority.issue("server")))
    first = Path(authority.path).read_bytes()
    assert await live(caller.address, first)
    with pytest.raises(grpc.aio.AioRpcError):
        await caller.call("ServerLive", PB.ServerLiveRequest(), timeout=2)
    other = Authority(tmp_path)
    other.issue("server")
    assert await live(caller.address, Path(other.path).read_bytes()), "the renewed certificate"
    with pytest.raises(grpc.aio.AioRpcError):
        await live(caller.address, first)


async def test_callers_must_show_a_certificate_where_an_authority_is_named(calling: Any, authority: Authority) -> None:
    caller = await calling(Echo(), Tls(*authority.issue("server"), authority.path))
    trusted = Path(authority.path).read_bytes()
    certificate, key = (Path(name).read_bytes() for name in authority.issue("caller"))
    assert await live(caller.address, trusted, key, certificate)
    with pytest.raises(grpc.aio.AioRpcError):
        await live(caller.address, trusted)


def test_files_that_cannot_be_used_end_the_start_and_later_change_nothing(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    with pytest.raises(StartError, match="No such file"):
        Certificates(Tls(certificate, f"{key}.gone"))
    other, _ = authority.issue("other")
    with pytest.raises(StartError, match="cannot be used"):
        Certificates(Tls(other, key))
    certificates = Certificates(Tls(certificate, key))
    assert certificates.renewed() is None
    Path(key).write_text("half")
    assert certificates.renewed() is None
    Path(certificate).unlink()
    assert certificates.renewed() is None
