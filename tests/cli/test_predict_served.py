"""`turnout predict` against a predictor's own process: what a person has in hand is answered or refused by it."""

import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.predictors.conftest import Running, starter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
Turnout = Callable[..., tuple[int, str, str]]

MAILS = """
    import numpy as np
    from turnout_predictors import BOOL, FP32, INT64, InvalidInput, Predictor, Settings, Tensors, Text, compute, dims

    class Mails(Predictor):
        class Inputs(Tensors):
            text: Text = dims("N")
            weight: FP32 | None = dims("N", missing=True)
        class Outputs(Tensors):
            letters: INT64 = dims("N")
            score: FP32 = dims("N", 2)
            echo: Text = dims("N")
        class Settings(Settings):
            factor: float = compute(1.0, ge=0, le=10)
        def predict(self, batch, settings):
            if any(text == "refused" for text in batch.text):
                raise InvalidInput("no such mail", "text")
            letters = np.array([len(text) for text in batch.text], np.int64)
            weight = 1 if batch.weight is None else batch.weight
            score = np.stack([letters * settings.factor * weight, letters * 0.5], 1).astype(np.float32)
            return self.Outputs(letters=letters, score=score, echo=batch.text)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("mails")
    (folder / "mails.py").write_text(textwrap.dedent(MAILS))
    with starter(folder) as start:
        flags = ("--model_name=mails", "--model_version=4", "--runtime=custom", "--entrypoint=mails:Mails")
        yield start(*flags, PYTHONPATH=str(folder)).ready()


GIVEN = {
    "a text file": ("mails.txt", "Grüße\n\nwo ist es?\n", [5, 10], ["Grüße", "wo ist es?"], [5, 10]),
    "a table by its heads": ("mails.csv", "weight;text;when\n2;ab;x\n;abc;y\n", [2, 3], ["ab", "abc"], [4, None]),
    "rows of JSON": ("mails.json", '[{"text": "a"}, {"text": "bb"}]', [1, 2], ["a", "bb"], [1, 2]),
    "texts of JSON": ("mails.json", '["a", "\\"b\\""]', [1, 3], ["a", '"b"'], [1, 3]),
    "a V2 request": (
        "mails.json",
        '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["abcd"]}]}',
        [4],
        ["abcd"],
        [4],
    ),
}


@pytest.mark.parametrize(("name", "content", "letters", "echo", "score"), GIVEN.values(), ids=GIVEN.keys())
def test_answers(
    turnout: Turnout,
    served: Running,
    tmp_path: Path,
    name: str,
    content: str,
    letters: object,
    echo: object,
    score: object,
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    url = f"http://127.0.0.1:{served.port}"
    code, out, err = turnout("predict", "mails", name, "--url", url, "-o", "json")
    assert (code, err) == (0, "turnout: columns that the model does not take: when\n" if "when" in content else "")
    answer = json.loads(out)
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    assert (answer["model_version"], found["letters"], found["echo"], found["score"][::2]) == (
        "4",
        letters,
        echo,
        score,
    )


def test_prints_a_line_for_each_row_under_the_settings_given(turnout: Turnout, served: Running) -> None:
    texts = ("--text", "a", "--text", "gruß", "--set", "factor=2.5")
    code, out, _ = turnout("predict", "mails", *texts, "--url", f"http://127.0.0.1:{served.port}")
    head, *rows, _blank, last = out.splitlines()
    assert (code, head.split()) == (0, ["ROW", "LETTERS", "SCORE", "ECHO"])
    assert [row.split() for row in rows] == [["1", "1", "[2.5,", "0.5]", "a"], ["2", "4", "[10,", "2]", "gruß"]]
    assert last.startswith("mails version 4, ")


REFUSED = {
    "what the model refuses": (["--text", "refused"], "mails answered 400: no such mail (at text)"),
    "a setting out of bounds": (["--text", "a", "--set", "factor=11"], "mails answered 400"),
    "an unknown setting": (["--text", "a", "--set", "mood=good"], "factor"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_says(turnout: Turnout, served: Running, given: list[str], said: str) -> None:
    code, out, err = turnout("predict", "mails", *given, "--url", f"http://127.0.0.1:{served.port}")
    assert (code, out) == (1, "")
    assert said in err


def test_another_model_is_not_there(turnout: Turnout, served: Running) -> None:
    code, _, err = turnout("predict", "other", "--text", "a", "--url", f"http://127.0.0.1:{served.port}")
    assert (code, "other answered 404: model 'other' is not served here; 'mails' is" in err) == (1, True), err
