"""scikit-learn estimators from skops files; joblib and pickle only by consent and with the digest named.

The signature's output names pick the methods: predict, predict_proba, decision_function, transform. Only
those a request wants are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from turnout_predictors.artifacts import Artifact
from turnout_predictors.batching.engine import Model, Outputs, Work
from turnout_predictors.errors import ARTIFACT_INVALID, StartError
from turnout_predictors.settings import Settings, bind
from turnout_predictors.settings import load as load_setting
from turnout_predictors.signature import Signature

from . import Start, missing

PLATFORM: Final = "turnout_sklearn"
METHODS: Final = ("predict", "predict_proba", "decision_function", "transform")
SKOPS: Final = "model.skops"
PICKLES: Final = ("model.joblib", "model.pkl", "model.pickle")

# Parts of scikit-learn's own estimators that skops leaves to its reader: their types are harmless, but crafted
# contents could crash the process. Trusted once the digest is named, since then nobody crafted them on the way.
INNARDS: Final = frozenset(
    {
        "numpy.dtype",
        "numpy.mean",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)


class SklearnSettings(Settings):
    allow_pickle: bool = load_setting(False, description="load joblib or pickle, which can run any code")
    trusted: tuple[str, ...] = load_setting((), description="types beyond skops' own list that may be built")


def import_libraries() -> None:
    try:
        import sklearn  # noqa: F401
        import skops.io  # noqa: F401
    except ImportError as fault:
        raise missing(fault, "predictor,sklearn") from None


def load(start: Start) -> Model:
    """StartError if the artifact holds no model, or one in a format that is refused."""
    settings = bind(SklearnSettings, dict(start.settings))
    assert isinstance(settings, SklearnSettings)
    artifact = start.require_artifact()
    signature = artifact.require_signature()
    estimator = _read(artifact, settings)
    for spec in signature.outputs:
        if spec.name not in METHODS or not hasattr(estimator, spec.name):
            raise StartError(
                ARTIFACT_INVALID,
                f"output {spec.name!r} is no method of {type(estimator).__name__}; use one of {', '.join(METHODS)}",
            )
    _spare_checks(signature)
    return SklearnModel(estimator, signature, settings)


def _spare_checks(signature: Signature) -> None:
    """Turns off what the server has checked already: requests cannot carry NaN or infinity unless declared.

    The configuration is thread-local in scikit-learn, and this is the model thread.
    """
    import sklearn

    finite = not any(spec.missing for spec in signature.inputs)
    sklearn.set_config(assume_finite=finite, skip_parameter_validation=True)


class SklearnModel:
    """One input tensor holds the features, or one tensor per column, `[N]` each."""

    platform = PLATFORM

    def __init__(self, estimator: Any, signature: Signature, settings: SklearnSettings) -> None:
        self.signature = signature
        self.settings = settings
        self._methods = {spec.name: getattr(estimator, spec.name) for spec in signature.outputs}
        self._names = tuple(spec.name for spec in signature.inputs)

    def forward(self, work: Work) -> Outputs:
        features = self._features(work.inputs)
        return {name: self._methods[name](features) for name in work.outputs}

    def _features(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if len(self._names) == 1:
            return inputs[self._names[0]]
        columns = (inputs[name] for name in self._names)
        return np.column_stack([column.reshape(len(column), -1) for column in columns])


def _read(artifact: Artifact, settings: SklearnSettings) -> Any:
    path = artifact.file(SKOPS)
    if path is not None:
        return read_skops(path, frozenset(settings.trusted) | (INNARDS if artifact.pinned else frozenset()))
    pickled = artifact.file(*PICKLES)
    if pickled is None:
        raise StartError(ARTIFACT_INVALID, f"artifact {artifact.path} holds no {SKOPS}; publish the model as skops")
    if not (settings.allow_pickle and artifact.pinned):
        raise StartError(
            ARTIFACT_INVALID,
            f"artifact {artifact.path} holds {pickled.name}, which can run any code; publish it as skops, "
            "or set settings.allow_pickle and artifact.digest",
        )
    import joblib  # type: ignore[import-untyped]

    return joblib.load(pickled)


def read_skops(path: Path, trusted: frozenset[str]) -> Any:
    """The estimator; StartError if it builds types that are neither skops' own nor trusted."""
    from skops.io import get_untrusted_types
    from skops.io import load as read

    wanted = get_untrusted_types(file=path)
    unknown = sorted(set(wanted) - trusted)
    if unknown:
        raise StartError(
            ARTIFACT_INVALID,
            f"{path} builds types that are not trusted: {', '.join(unknown)}; name the artifact's digest, "
            "and in settings.trusted what is not scikit-learn's own",
        )
    return read(path, trusted=wanted)
