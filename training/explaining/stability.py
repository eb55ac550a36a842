"""What refits on parts of a cohort say of a model's columns, kept with the model: records only, quick to read."""

from __future__ import annotations

import msgspec

from training.estimate import Estimate

#: Figures are kept to this many decimals in a model: far finer than they are known.
DECIMALS = 4


class Stability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column over refits on parts of the cohort.

    Attributes
    ----------
    size : Estimate
        Mean absolute contribution, log-odds; the median refit with the range of 95% of them.
    rank : Estimate
        Place among the columns, 1 the largest.
    change : Estimate or None
        Learned change of the log-odds from low to high value; None for categories.
    """

    name: str
    label: str
    size: Estimate
    rank: Estimate
    change: Estimate | None

    @property
    def stable(self) -> bool:
        """Whether nearly all refits give it the same direction."""
        return self.change is None or self.change.excludes_zero


class DrugDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A biomarker that works differently by drug: learned change on one ADC less that on another, over refits."""

    name: str
    label: str
    adc: str
    other: str
    change: float
    change_other: float
    difference: Estimate


class RefitFindings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the refits of a training said, for the pages that explain its model later.

    Attributes
    ----------
    refits : int
        Fits on parts of the cohort: those of the cross-validation and of the resampling.
    columns : tuple of Stability
        By falling median size.
    drug_differences : tuple of DrugDifference
        By falling difference.
    """

    refits: int
    columns: tuple[Stability, ...]
    drug_differences: tuple[DrugDifference, ...]

    def rounded(self) -> RefitFindings:
        """Give the same with DECIMALS decimals.

        Returns
        -------
        RefitFindings
        """
        columns = tuple(
            msgspec.structs.replace(
                c, size=_rounded(c.size), rank=_rounded(c.rank), change=_rounded(c.change) if c.change else None
            )
            for c in self.columns
        )
        differences = tuple(
            msgspec.structs.replace(
                d,
                change=round(d.change, DECIMALS),
                change_other=round(d.change_other, DECIMALS),
                difference=_rounded(d.difference),
            )
            for d in self.drug_differences
        )
        return RefitFindings(self.refits, columns, differences)


def _rounded(found: Estimate) -> Estimate:
    value, low, high = (None if v is None else round(v, DECIMALS) for v in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.reason)
