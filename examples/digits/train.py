"""Trains two readers of handwritten digits and publishes them where the ModelVersions of a folder look.

    python examples/digits/train.py               # needs turnout[predictor,sklearn]; takes seconds
    python examples/digits/train.py my-models     # for copies of those files in another folder

Version 1 has seen 120 images, version 2 all but the last 300. Each artifact carries an example with its answer, so
that a version is known to answer rightly before any caller meets it.
"""

import shutil
import sys
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from turnout_predictors import publish


def main(folder: Path) -> None:
    images, digits = load_digits(return_X_y=True)
    models = {
        1: GaussianNB(var_smoothing=1e-3).fit(images[:120], digits[:120]),
        2: SVC(gamma=0.001).fit(images[:-300], digits[:-300]),
    }
    for version, model in models.items():
        shutil.rmtree(folder / str(version), ignore_errors=True)
        published = publish(model, folder / str(version), example=images[-3:], outputs=("predict",))
        right = model.score(images[-300:], digits[-300:])
        print(f"version {version}: {right:.1%} of unseen digits right")
        print(f"  uri: {published.uri}\n  digest: {published.digest}")


if __name__ == "__main__":
    main((Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent) / "artifacts")
