"""Where kserve's suites and kserve's server differ from ours, each with its reason.

The runs hold the lists to the facts: what is in them and passes is a fault, as what fails and is not in them.
"""

INSIDE = "it tries kserve's own classes, and asks no server"
ONE_MODEL = "a process serves one model, so it lists one"
UNDECLARED = "a model that declares no inputs is not asked over V1: there is no telling what the instances are"
EVENTS = "CloudEvents are no requests here; payloads are logged as such"
ONE_ERROR = "errors have one shape on every route"
WHOLE = "the answer says its version, has no null keys, and FP32 in its own shortest digits"
FP16 = "numbers are taken and given for FP16 in JSON, too"
EXPLAIN = "explanations are not served"
FIXED = "501: versions come and go with their process"
RPC_VERSION = "the answer says its version"
RPC_SIZE = "the answer says its version, and no binary_data_size, which is HTTP's"

LEFT_OUT = {
    "test_server.py::TestRayServer": "no Ray Serve behind the server",
    **{
        f"test_server.py::{name}": INSIDE
        for name in (
            "TestModel",
            "TestWithUnhealthyModel",
            "TestMutiProcessServer",
            "TestModelServerWithPredictorConfig",
            "TestModelServerEventLoopWithDummy",
        )
    },
}


def _tests(group: str, why: str, *names: str) -> dict[str, str]:
    return {f"{group}::test_{name}": why for name in names}


SUITE = {
    **_tests("test_server.py::TestStreamPredict", UNDECLARED, "predict_stream"),
    **_tests("test_server.py::TestV1Endpoints", "nothing is served at /", "liveness_v1"),
    **_tests("test_server.py::TestV1Endpoints", ONE_ERROR, "unknown_model_v1", "unknown_path_v1"),
    **_tests("test_server.py::TestV1Endpoints", ONE_MODEL, "list_models_v1"),
    **_tests("test_server.py::TestV1Endpoints", UNDECLARED, "predict_v1", "datetime_output_v1"),
    **_tests("test_server.py::TestV1Endpoints", EXPLAIN, "explain_v1"),
    **_tests("test_server.py::TestV2Endpoints", ONE_MODEL, "list_models_v2"),
    **_tests(
        "test_server.py::TestV2Endpoints",
        "parameters that a model of kserve's writes into its answer are left out",
        "infer_parameters_v2",
    ),
    **_tests(
        "test_server.py::TestV2Endpoints",
        WHOLE,
        "fp16_input_as_binary_data",
        "fp16_output_as_binary_data",
        "requested_output",
        "all_output_as_binary_data",
        "binary_data_parameter_precedence",
    ),
    **_tests("test_server.py::TestV2Endpoints", FP16, "fp16_input_not_binary_data", "fp16_output_not_binary_data"),
    **_tests(
        "test_server.py::TestTFHttpServerCloudEvent",
        EVENTS,
        "predict_ce_structured",
        "predict_custom_ce_attributes",
        "predict_merge_structured_ce_attributes",
        "predict_merge_binary_ce_attributes",
        "predict_ce_binary_dict",
        "predict_ce_binary_bytes",
        "predict_ce_bytes_bad_format_exception",
        "predict_ce_bytes_bad_hex_format_exception",
    ),
    **_tests("test_server.py::TestTFHttpServerAvroCloudEvent", EVENTS, "predict_ce_avro_binary"),
    **_tests("test_server.py::TestTFHttpServerLoadAndUnLoad", FIXED, "load", "unload"),
    **_tests("test_server.py::TestTFHttpServerLoadAndUnLoadFailure", FIXED, "load_fail", "unload_fail"),
    **_tests("test_server.py::TestTFHttpServerModelNotReady", EXPLAIN, "explain"),
    **_tests("test_grpc_server.py", RPC_VERSION, "grpc_inputs"),
    **_tests("test_grpc_server.py", RPC_SIZE, "grpc_raw_inputs", "grpc_fp16_output", "grpc_fp16_input"),
}


def _checks(why: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, why)


STOCK = {
    **_checks(
        "500",
        "a request needs no id, and none is invented",
        "fewer values than the shape has is 400",
        "more values than the shape has is 400",
        "sizes whose product overflows is 400",
        "300 as UINT8 is 400",
        "a length of the JSON that is no number is 400",
    ),
    **_checks(
        "200: it is cut, cast or passed over without a word",
        "inputs: [] is 400",
        "an input twice is 400",
        "an unknown input is 400",
        "a size that is a string is 400",
        "a negative size is 400",
        "a datatype in lower case is 400",
        "1.7 as an integer is 400",
        '"false" as a boolean is 400',
        "a number as a text is 400",
        "true as a number is 400",
        "an unknown output is 400",
    ),
    **_checks(
        "200 for a byte too many, 500 for one too few", "a byte too few, a byte too many of a binary tensor is 400"
    ),
    **_checks(
        "422 with `detail`",
        "what is no JSON is 400, with an error's shape",
        "a request without inputs is 400, with an error's shape",
        "a tensor without a shape is 400, with an error's shape",
        "a parameter that is an object is 400",
        "an id that is a number is 400",
    ),
    **_checks("`error` here, `detail` there", "another model, another route, another method: errors have one shape"),
    **_checks("501", "the version in the path is served, and in the answer", "another version is 404"),
    **_checks("400", "a request needs no Content-Type", "a body in gzip"),
    **_checks("`model_version` and `parameters` are null", "an answer has no null keys"),
    **_checks("405, 307", "HEAD, and /v2/ as /v2"),
    **_checks("both come, unless the model looks", "one of two outputs, if it is the only one wanted"),
    **_checks("`binary_data_output` without `outputs` is not heard", "binary in, binary out"),
    **_checks("the connection is reset", "a model that raises is 500, and the connection survives"),
    **_checks("its text is in the answer", "a model's exception keeps its text to itself"),
    **_checks("there is none", "gRPC: the version is in the answer", "gRPC: grpc.health.v1 and reflection"),
    **_checks("it is answered", "gRPC: another version is NOT_FOUND"),
    **_checks(
        "INTERNAL",
        "gRPC: a shape of more values is INVALID_ARGUMENT",
        "gRPC: the wrong contents is INVALID_ARGUMENT",
        "gRPC: 300 as UINT8 is INVALID_ARGUMENT",
        "gRPC: raw bytes of another size is INVALID_ARGUMENT",
    ),
}
