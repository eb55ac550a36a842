"""The guarded process that a model from elsewhere is first read in (`python -P -m serving.model_trial`).

It takes a `TrialRequest` from standard input and answers a `TrialVerdict`. It may crash, run out of time or of memory:
then the model is refused, and the process that asked goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from training.model_trust import TRIAL_SECONDS, TrialRequest, TrialVerdict

if TYPE_CHECKING:
    from serving.tree_kernel import TreeEnsemble

_MEMORY_BYTES = 3 * 2**30
#: Trees of a model here have at most 31 leaves, and a model some 1,000 trees; beyond these no model was made by adcr.
_MOST_TREES, _MOST_LEAVES = 20_000, 1_024
#: Contributions add up to the score but for rounding.
_ADDITIVITY = 1e-6
_END = "\nend of trees\n"
#: What may follow the trees, line by line: counts of splits, parameters as LightGBM prints them, no categories.
_TAIL_LINE = re.compile(
    r"feature_importances:|parameters:|end of parameters|pandas_categorical:(null|\[\])?|\[[\w.]+: [^\n]*\]|\S+=\d+|"
)


def main() -> int:
    """Try one model.

    Returns
    -------
    int
        0; a process that ends otherwise has met a model that it could not bear.
    """
    _limit()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=TrialRequest)
    # LightGBM prints its warnings on standard output, where only the verdict belongs.
    answer = os.dup(1)
    os.dup2(2, 1)
    verdict = msgspec.json.encode(TrialVerdict(_fault(request)))
    os.write(answer, verdict)
    return 0


def _limit() -> None:
    """Bound memory and time, write no file and leave no core."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of the caller remains
        return
    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, TRIAL_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _fault(request: TrialRequest) -> str:
    from serving.tree_kernel import UnusableModel, read_trees

    try:
        trees = read_trees(request.model_text)
    except UnusableModel as error:
        return f"model.txt, {error}"
    return _structure_fault(request, trees) or _score_fault(request)


def _structure_fault(request: TrialRequest, trees: TreeEnsemble) -> str:
    """Check what the reader of trees leaves: columns, sizes, counts, and all that follows the trees."""
    if trees.feature_names != request.names:
        return "the columns of model.txt are not those of bundle.json"
    leaves = int((trees.leaf_start[1:] - trees.leaf_start[:-1]).max(initial=0))
    if not 0 < trees.n_trees <= _MOST_TREES or leaves > _MOST_LEAVES:
        return f"it has {trees.n_trees:,} trees of up to {leaves:,} leaves, as no model of adcr has"
    if trees.counts_fault:
        return f"model.txt, {trees.counts_fault}"
    tail = request.model_text.partition(_END)[2]
    strange = next((line for line in tail.split("\n") if not _TAIL_LINE.fullmatch(line)), None)
    return "" if strange is None else "model.txt, a line after the trees is none that LightGBM writes"


def _score_fault(request: TrialRequest) -> str:
    import numpy as np

    from training.golden_rows import TOLERANCE, golden_matrix
    from training.lightgbm_library import lightgbm_alone

    golden = request.golden
    matrix = golden_matrix(golden) if len({len(row) for row in golden.values}) == 1 else np.empty((0, 0))
    if matrix.shape != (len(golden.log_odds), len(request.names)) or not len(matrix):
        return "its golden rows do not have its columns"
    lightgbm: Any = lightgbm_alone()
    try:
        booster = lightgbm.Booster(model_str=request.model_text)
        scores = booster.predict(matrix, raw_score=True, num_threads=1)
        shap = booster.predict(matrix, pred_contrib=True, num_threads=1)
    # What the library refuses, and what its Python side cannot read of what the library tells.
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        return f"LightGBM refuses model.txt ({str(error).splitlines()[0][:100]})"
    if not np.allclose(scores, golden.log_odds, rtol=0, atol=TOLERANCE):
        return "it does not give its golden rows the scores that it was written with"
    if not np.allclose(shap.sum(axis=1), scores, rtol=0, atol=_ADDITIVITY):
        return "its contributions do not add up to its scores"
    return ""


if __name__ == "__main__":
    sys.exit(main())
