"""Typed records of the model's columns; stored in every model bundle."""

from __future__ import annotations

from typing import Literal

import msgspec


class FeatureColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of the model's input.

    Ordinal and categorical columns hold the position of the level in `levels` (0.0, 1.0, ...); binary ones 0.0 or
    1.0; missing is NaN everywhere. Missing and unseen levels are NaN.
    """

    name: str
    label: str
    kind: Literal["numeric", "ordinal", "binary", "categorical"]
    unit: str
    source: Literal["biomarker", "adc_profile", "context", "extra"]
    levels: tuple[str, ...] = ()
    #: +1 response may only rise with it, -1 only fall, 0 free
    monotone: Literal[-1, 0, 1] = 0
    core: bool = False
    mechanism_step: str = ""


class FeatureSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's columns in order; stored in the model bundle, so that scoring encodes exactly as training did."""

    columns: tuple[FeatureColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(c.name for c in self.columns)
