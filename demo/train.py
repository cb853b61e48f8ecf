"""Models on scikit-learn's handwritten digits, trained on the spot and published as artifacts.

Half of the 1 797 images is kept from every model: callers ask about those, so that what they see is honest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from demo.flawed_digits import ONE_IN
from turnout_predictors import Published, publish

WEAK_ROWS = 120
SEED = 7


@dataclass(frozen=True, slots=True)
class Questions:
    """Images that no model has seen, [n, 64] float64, and the digits they show, [n]."""

    images: NDArray[np.float64]
    digits: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trained:
    """Artifacts by version of `digits`, and what callers will ask."""

    artifacts: dict[int, Published]
    questions: Questions


def train(folder: Path) -> Trained:
    """Train, publish below `folder`, and spoil the last one as a broken copy would be."""
    images, digits = load_digits(return_X_y=True)
    known, unseen, labels, answers = train_test_split(images, digits, test_size=0.5, random_state=SEED)
    weak = GaussianNB(var_smoothing=1e-3).fit(known[:WEAK_ROWS], labels[:WEAK_ROWS])
    good = SVC(gamma=0.001).fit(known, labels)
    artifacts = {
        1: _publish(weak, folder / "1", known),
        2: _publish(good, folder / "2", known),
        3: _publish(good, folder / "3", known),
        4: _publish(good, folder / "4", known),
        5: _publish(good, folder / "5", known),
    }
    spoil(artifacts[5].path / "model.skops")
    return Trained(artifacts, Questions(unseen, answers))


def _publish(model: Any, to: Path, rows: NDArray[np.float64]) -> Published:
    """The first images are its examples, all of them show how its answers are usually spread."""
    fit = rows[rows.sum(axis=1).astype(int) % ONE_IN != 0]  # examples that version 3 does not fail on
    return publish(model, to, example=fit[:4], outputs=("predict",), reference=rows)


def spoil(file: Path) -> None:
    """Cut a file short, as a full disk or an interrupted copy does."""
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
