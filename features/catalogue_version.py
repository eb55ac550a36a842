"""Which catalogue this is: the hash that models and reports name it by."""

from __future__ import annotations

import hashlib
from importlib.resources import files


def catalogue_sha256() -> str:
    """Hash of the biomarker and ADC catalogues that models are made with.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    folder = files("features")
    content = b"".join(folder.joinpath(f).read_bytes() for f in ("biomarkers.toml", "adcs.toml"))
    return hashlib.sha256(content).hexdigest()
