"""The names that `adcr score --model` knows the literature model by; light, since every scoring asks."""

from __future__ import annotations

import re
from typing import Literal

from features.errors import ModelError

_NAMED = re.compile(r"literature(?::(?P<endpoint>\w+))?\Z")
_ENDPOINTS: tuple[Literal["objective_response", "pcr"], ...] = ("objective_response", "pcr")


def literature_endpoint(model: str) -> Literal["objective_response", "pcr"] | None:
    """Endpoint of the literature model that a name asks for.

    Parameters
    ----------
    model : str
        As given to `adcr score --model`.

    Returns
    -------
    {"objective_response", "pcr"}, or None
        None where the name is not that of the literature model.

    Raises
    ------
    ModelError
        It is, with an endpoint that there is not.
    """
    named = _NAMED.match(model)
    if named is None:
        return None
    for endpoint in _ENDPOINTS:
        if named["endpoint"] in (endpoint, None):
            return endpoint
    raise ModelError(
        f"the literature has no endpoint '{named['endpoint']}'.",
        where=model,
        mend="Use " + " or ".join(f"literature:{e}" for e in _ENDPOINTS) + ".",
    )
