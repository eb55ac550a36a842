"""What MLflow's scoring server does not bear in a request, refused as the caller's mistake."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any


def refuse_deep_json() -> None:
    """Make the scoring server of this process answer JSON nested beyond all measure with 400, not 500.

    Python's JSON reader raises RecursionError there, which MLflow takes for a fault of its own. Where no scoring server
    runs, or it is built otherwise, nothing changes.
    """
    server = sys.modules.get("mlflow.pyfunc.scoring_server")
    decode = getattr(server, "_decode_json_input", None)
    if server is None or decode is None or hasattr(decode, "__wrapped__"):
        return

    @wraps(decode)
    def decode_shallow(json_input: Any) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return decode(json_input)
        except RecursionError:
            raise MlflowException.invalid_parameter_value("the JSON is nested too deep to be a table.") from None

    server._decode_json_input = decode_shallow  # type: ignore[attr-defined]
