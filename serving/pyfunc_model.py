"""The MLflow model as code: `mlflow.pyfunc.load_model` and `mlflow models serve` run this file; nothing is pickled.

The artifact `bundle` is the folder of a model bundle. Inputs and scores are those of `adcr score`, bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import mlflow
import pandas as pd  # MLflow evaluates the type hints below
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext


class AdcrModel(PythonModel):
    """Response to an ADC, with interval and reasons.

    Research use only; never a treatment recommendation.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Read and check the bundle.

        Parameters
        ----------
        context : PythonModelContext
            Its artifact `bundle` is the bundle's folder.

        Raises
        ------
        ModelError
            The bundle is damaged or of another version.
        """
        from serving.request_guard import refuse_deep_json
        from training.model_trust import trusted_bundle

        refuse_deep_json()
        self._bundle = trusted_bundle(Path(context.artifacts["bundle"]))
        # The scoring server calls from several threads; LightGBM does not promise to bear that.
        self._one_at_a_time = Lock()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score patients.

        Parameters
        ----------
        context : PythonModelContext
        model_input : pandas.DataFrame of shape (n_rows, any)
            Columns of a cohort file by their ids.
        params : dict, optional
            `top_reasons`: reasons per patient, 3 by default.

        Returns
        -------
        pandas.DataFrame of shape (n_rows, n_columns)
            One row per row in, in order: the columns of the score table, and `fault`.

        Raises
        ------
        MlflowException
            The table as a whole cannot be used (status 400 over HTTP).
        """
        from features.errors import AdcrError
        from serving.row_scores import score_rows

        try:
            top_reasons = _reasons_asked(params)
            with self._one_at_a_time:
                return score_rows(self._bundle, model_input, top_reasons=top_reasons)
        except AdcrError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


def _reasons_asked(params: dict[str, Any] | None) -> int:
    from features.errors import InputError

    asked = (params or {}).get("top_reasons")
    try:
        return 3 if asked is None else int(asked)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError("top_reasons is no whole number.", mend="Give a number from 0 to 20.") from error


mlflow.models.set_model(AdcrModel())
