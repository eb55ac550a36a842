"""LightGBM without scikit-learn, for commands that only read models: loading it takes a third of the time so."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

#: Libraries that LightGBM looks for, uses in wrappers that adcr never calls, and does without where they are missing.
_OPTIONAL = ("sklearn", "dask", "dask.distributed", "matplotlib", "graphviz")


def lightgbm_alone() -> Any:
    """Import LightGBM; what it would only wrap is hidden meanwhile, unless it is loaded already.

    Returns
    -------
    module
        `lightgbm`, the same for all who import it; without its scikit-learn classes where it was first imported here.
    """
    if "lightgbm" in sys.modules:
        return sys.modules["lightgbm"]
    hidden = [name for name in _OPTIONAL if name not in sys.modules]
    for name in hidden:
        # An import of a module that stands as None fails as if it were not installed.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]
