"""What keeps a version from ever loading: each has a reason and a sentence. In process, on this thread."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import config_context

from turnout_predictors import arguments, publish
from turnout_predictors.artifacts import Example
from turnout_predictors.batching import ModelThread, Work, engine_for
from turnout_predictors.errors import START_REASONS, StartError
from turnout_predictors.process import Loaded, load
from turnout_predictors.server.contract import Contract
from turnout_predictors.server.warmup import differing, replay
from turnout_predictors.signature import Signature, TensorSpec
from turnout_predictors.telemetry.metrics import Metrics

MODULES = {
    "loading_broken": "raise OSError('disk full')",
    "loading_foreign": "class NotAModel: pass\nVALUE = 3",
    "loading_needy": "import a_library_that_is_not_here",
    "loading_typed": """
from turnout_predictors import FP64, Predictor, Settings, Tensors, Text, compute, dims, load

class Doubler(Predictor):
    class Inputs(Tensors):
        x: FP64 = dims("N")
        note: Text | None = dims("N")
    class Outputs(Tensors):
        y: FP64 = dims("N")
        note: Text | None = dims("N")
    class Settings(Settings):
        factor: float = compute(2.0, ge=0)
        fail: str = load("")
    def load(self):
        if self.settings.fail == "raise":
            raise RuntimeError("no weights")
        return self.settings.fail != "no"
    def predict(self, batch, settings):
        return self.Outputs(y=batch.x * settings.factor, note=batch.note)

class Waiting(Doubler):
    async def predict(self, batch, settings):
        return {"y": batch.x}

class Undeclared(Predictor):
    def predict(self, batch, settings):
        return {}

class Misdeclared(Doubler):
    class Inputs(Tensors):
        x: int = dims("N")

class Mute(Predictor):
    class Inputs(Tensors):
        x: FP64 = dims("N")
    class Outputs(Tensors):
        y: FP64 = dims("N")
""",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with config_context():  # loading configures scikit-learn for its thread
        yield
    for name in MODULES:
        sys.modules.pop(name, None)


def loaded(*flags: str) -> Loaded:
    given = arguments.parse(["--model_name=m", *flags], {})
    return load(given, 1, Metrics("m", "1", "local"))


TYPED = ("--runtime=custom", "--entrypoint=loading_typed:Doubler")
CANNOT_LOAD = {
    "an unknown runtime": (("--runtime=onnx",), "RuntimeNotServed", "runtime 'onnx' is not served; served:"),
    "no artifact": (("--runtime=sklearn",), "ArtifactInvalid", "needs an artifact"),
    "an artifact that is not there": (
        ("--runtime=sklearn", "--artifact_uri=file:///nowhere"),
        "ArtifactNotFound",
        "no folder at /nowhere",
    ),
    "a digest that differs": (
        ("--runtime=sklearn", "--artifact_uri={uri}", f"--artifact_digest=sha256:{'0' * 64}"),
        "ArtifactDigestMismatch",
        f"wanted sha256:{'0' * 64}",
    ),
    "an unknown setting": (
        ("--runtime=sklearn", "--artifact_uri={uri}", '--settings={{"pickel": true}}'),
        "SettingsInvalid",
        "settings.pickel is unknown; allowed: allow_pickle, trusted",
    ),
    "no entrypoint": (("--runtime=custom",), "EntrypointInvalid", "package.module:Class"),
    "an entrypoint without a class": (
        ("--runtime=custom", "--entrypoint=loading_typed"),
        "EntrypointInvalid",
        "package.module:Class",
    ),
    "a module that is not there": (
        ("--runtime=custom", "--entrypoint=nowhere.to.be:Found"),
        "EntrypointInvalid",
        "there is no module 'nowhere'",
    ),
    "a submodule that is not there": (
        ("--runtime=custom", "--entrypoint=loading_typed.inner:Found"),
        "EntrypointInvalid",
        "there is no module 'loading_typed.inner'",
    ),
    "a class that is not there": (
        ("--runtime=custom", "--entrypoint=loading_foreign:Missing"),
        "EntrypointInvalid",
        "loading_foreign has no 'Missing'",
    ),
    "a class that is no model": (
        ("--runtime=custom", "--entrypoint=loading_foreign:NotAModel"),
        "EntrypointInvalid",
        "is no class of",
    ),
    "a value that is no class": (
        ("--runtime=custom", "--entrypoint=loading_foreign:VALUE"),
        "EntrypointInvalid",
        "is no class of",
    ),
    "a predictor that declares nothing": (
        ("--runtime=custom", "--entrypoint=loading_typed:Undeclared"),
        "EntrypointInvalid",
        "Undeclared.Inputs must be a class of Tensors",
    ),
    "a tensor that is no tensor": (
        ("--runtime=custom", "--entrypoint=loading_typed:Misdeclared"),
        "EntrypointInvalid",
        "Inputs.x must be declared like",
    ),
    "a library that is not in the image": (
        ("--runtime=custom", "--entrypoint=loading_needy:Model"),
        "DependencyMissing",
        "imports 'a_library_that_is_not_here'",
    ),
    "a module that raises": (
        ("--runtime=custom", "--entrypoint=loading_broken:Model"),
        "LoadFailed",
        "OSError: disk full",
    ),
    "a load that raises": (
        (*TYPED, '--settings={{"fail": "raise"}}'),
        "LoadFailed",
        "RuntimeError: no weights",
    ),
    "a load that says no": ((*TYPED, '--settings={{"fail": "no"}}'), "LoadFailed", "load() returned False"),
    "a setting of the wrong type": (
        (*TYPED, '--settings={{"factor": "long"}}'),
        "SettingsInvalid",
        "settings.factor: Input should be a valid number",
    ),
    "a setting out of bounds": (
        (*TYPED, '--settings={{"factor": -1}}'),
        "SettingsInvalid",
        "greater than or equal to 0",
    ),
}


@pytest.mark.parametrize(("flags", "reason", "said"), CANNOT_LOAD.values(), ids=CANNOT_LOAD.keys())
def test_cannot_load(published: Any, flags: tuple[str, ...], reason: str, said: str) -> None:
    with pytest.raises(StartError) as caught:
        loaded(*(flag.format(uri=published.uri) for flag in flags))
    assert (caught.value.reason, said in caught.value.message) == (reason, True), caught.value
    assert reason in START_REASONS


LIBRARIES = {
    "sklearn": ("skops.io", "turnout[predictor,sklearn]"),
    "sentence-transformers": ("sentence_transformers", "turnout[predictor,sentence-transformers]"),
    "custom": ("kserve", "turnout[predictor]"),
}


@pytest.mark.parametrize("runtime", LIBRARIES)
def test_a_missing_library_is_named_with_its_extra(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library, extra = LIBRARIES[runtime]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(StartError) as caught:
        loaded(f"--runtime={runtime}", "--entrypoint=loading_typed:Doubler")
    assert caught.value.reason == "DependencyMissing"
    assert f"install {extra}" in caught.value.message


def work(model: Any, **inputs: Any) -> Work:
    size = len(next(iter(inputs.values())))
    names = tuple(spec.name for spec in model.signature.outputs)
    return Work(inputs, names, 0.0, model.settings, {"N": size})


def test_a_typed_predictor_gets_its_batch_and_settings() -> None:
    model = loaded(*TYPED, '--settings={"factor": 3}').model
    answer = model.forward(work(model, x=np.array([1.0, 2.0])))  # type: ignore[union-attr]
    assert {name: array.tolist() for name, array in answer.items()} == {"y": [3.0, 6.0]}
    notes = np.array(["a", "b"], dtype=object)
    both = model.forward(work(model, x=np.array([1.0, 2.0]), note=notes))  # type: ignore[union-attr]
    assert both["note"].tolist() == ["a", "b"]


def test_kserve_sees_a_complete_model() -> None:
    from loading_typed import Doubler  # type: ignore[import-not-found]

    model = Doubler("m")
    assert model.name == "m"
    assert model.get_input_types()[0] == {"name": "x", "datatype": "FP64", "shape": [-1]}
    assert [output["name"] for output in model.get_output_types()] == ["y", "note"]
    model.start()
    assert model.ready


async def test_an_async_predictor_runs_on_the_loop() -> None:
    model = loaded("--runtime=custom", "--entrypoint=loading_typed:Waiting").model
    thread = ModelThread(asyncio.get_running_loop())  # never started: it is not needed
    engine = engine_for(model, thread, timeout_seconds=5, queue_limit=8)
    wanted = Work(
        {"x": np.array([4.0])},
        ("y",),
        asyncio.get_running_loop().time() + 5,
        model.settings,
        {"N": 1},
    )
    assert (await engine.submit(wanted))["y"].tolist() == [4.0]


async def test_a_predictor_without_predict_says_so(in_process: Any) -> None:
    model = loaded("--runtime=custom", "--entrypoint=loading_typed:Mute").model
    body = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1]}]}
    answer = await in_process(model).ask("POST", "/v2/models/m/infer", body)
    assert (answer.status, answer.json["error"]) == (500, "the model raised NotImplementedError")


SIGNATURE = Signature((TensorSpec("x", "FP64", ("N",)),), (TensorSpec("y", "FP64", ("N",)),))
REQUEST = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [1, 2]}]}


def recorded(**output: Any) -> Example:
    whole = {"name": "y", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0], **output}
    return Example("one", REQUEST, {"outputs": [whole]}, 0.01)


DIFFERENCES = {
    "equal": (recorded(), []),
    "within the tolerance": (recorded(data=[1.009, 2.0]), []),
    "beyond the tolerance": (recorded(data=[1.02, 2.0]), ["y"]),
    "another shape": (recorded(shape=[1, 2]), ["y"]),
    "an output that is not there": (recorded(name="z"), ["z"]),
    "null for a number": (recorded(data=[None, 2.0]), ["y"]),
}


@pytest.mark.parametrize(("example", "names"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_differences_from_a_recorded_answer(example: Example, names: list[str]) -> None:
    assert differing(example, {"y": np.array([1.0, 2.0])}) == names


class Plain:
    signature = SIGNATURE
    platform = "test"
    settings = None

    def forward(self, work: Work) -> Any:
        if work.inputs["x"][0] < 0:
            raise ValueError("negative")
        return {"y": work.inputs["x"]}


async def replayed(*examples: Example) -> None:
    thread = ModelThread(asyncio.get_running_loop())
    thread.start()
    engine = engine_for(Plain(), thread, timeout_seconds=5, queue_limit=8)
    try:
        await replay(examples, Contract.of(SIGNATURE), engine, 5)
    finally:
        thread.stop()


async def test_examples_are_replayed_and_a_difference_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await replayed(recorded(), recorded(data=[5, 5]))
    assert [record.message for record in caplog.records] == [
        "example 'one': output 'y' differs from what was recorded at publish"
    ]


RAISING = {
    "an example that is malformed": ({"inputs": [{"name": "z"}]}, "unknown input 'z'; the model takes x at inp"),
    "an example at which the model raises": (
        {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [-1]}]},
        "the model raised ValueError",
    ),
}


@pytest.mark.parametrize(("request_", "said"), RAISING.values(), ids=RAISING.keys())
async def test_an_example_that_raises_ends_the_start(request_: Any, said: str) -> None:
    with pytest.raises(StartError) as caught:
        await replayed(Example("bad", request_, {"outputs": []}))
    assert caught.value.reason == "LoadFailed"
    assert f"example 'bad' cannot be answered: {said}" in caught.value.message


def test_an_artifact_reaches_a_custom_predictor(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "weights").write_text("w")
    published = publish(tmp_path / "source", to=tmp_path / "m", signature=SIGNATURE)
    result = loaded(*TYPED, f"--artifact_uri={published.uri}", f"--artifact_digest={published.digest}")
    assert result.artifact is not None
    assert result.artifact.digest == published.digest


WORDS = """
from turnout_predictors import BOOL, INT64, Predictor, Settings, Tensors, Text, dims, post
import numpy as np

class Sizes(Predictor):
    seen = []
    class Inputs(Tensors):
        text: Text = dims("N")
    class Outputs(Tensors):
        size: INT64 = dims("N")
        long: BOOL = dims("N")
    class Settings(Settings):
        least: int = post(3)
    def predict(self, batch, settings):
        self.seen.append(batch.text.tolist())
        return {"size": np.array([len(text) for text in batch.text])}
    def lengths(self, batch):
        return [len(text) for text in batch.text]
    def finish(self, outputs, settings):
        return {**outputs, "long": outputs["size"] >= settings.least}

class Whole(Sizes):
    whole = True
    def predict(self, batch, settings):
        return self.finish(super().predict(batch, settings), settings)
    finish = staticmethod(lambda outputs, settings: {**outputs, "long": outputs["size"] >= settings.least})
"""


@pytest.mark.parametrize(("kind", "forwards"), [("Sizes", 1), ("Whole", 2)])
async def test_a_predictors_own_words_reach_the_scheduler(tmp_path: Path, kind: str, forwards: int) -> None:
    """Texts of two requests with different post settings: one forward, equal texts once; or two, if they stay whole."""
    (tmp_path / "loading_words.py").write_text(WORDS)
    try:
        model: Any = loaded("--runtime=custom", f"--entrypoint=loading_words:{kind}").model
        loop = asyncio.get_running_loop()
        thread = ModelThread(loop)
        engine = engine_for(model, thread, timeout_seconds=5, queue_limit=8)
        texts = np.array(["aa", "bbbb"], dtype=object)
        mine = Work({"text": texts}, ("size", "long"), loop.time() + 20, model.settings, {"N": 2})
        theirs = Work(mine.inputs, mine.outputs, mine.deadline, type(model.settings)(least=2), mine.dims)
        futures = [engine.submit(mine), engine.submit(theirs)]
        thread.start()
        answers = await asyncio.gather(*futures)
        assert [answer["long"].tolist() for answer in answers] == [[False, True], [True, True]]
        seen = sys.modules["loading_words"].Sizes.seen
        assert len(seen) == forwards
        assert all(len(batch) == 2 for batch in seen)
        thread.stop()
    finally:
        sys.modules.pop("loading_words", None)
