"""HER2 status as a cohort states it, beside what its assays give by ASCO/CAP: how often they agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.her2_status import her2_status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.cohort import Cohort, Fault

_ASSAYS = ("her2_ihc", "her2_ish_ratio", "her2_ish_positive")
_COUNT = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class StatedStatus:
    """HER2 status as a cohort states it, beside what IHC and ISH give by ASCO/CAP.

    Attributes
    ----------
    both : int
        Patients with a stated status and one that can be computed.
    agree : int
    stated_positive, computed_positive : int
        Of those that disagree, positive as stated, and as computed.
    filled : bool
        Whether statuses that were filled in from the assays may be among those that agree.
    """

    both: int
    agree: int
    stated_positive: int
    computed_positive: int
    filled: bool = False

    def note(self, column: str) -> Fault:
        """Tell it in one line.

        Parameters
        ----------
        column : str
            Column of the stated status.

        Returns
        -------
        Fault
        """
        return rules.STATUS_COMPARED.fault(
            column=column,
            both=self.both,
            agree=self.agree,
            stated=self.stated_positive,
            computed=self.computed_positive,
        )


def compared_status(
    stated: NDArray[np.float64], computed: NDArray[np.float64], *, filled: bool = False
) -> StatedStatus:
    """Compare two statuses of the same patients.

    Parameters
    ----------
    stated, computed : numpy.ndarray of float64, shape (n,)
        1.0 positive, 0.0 negative, NaN missing.
    filled : bool
        As in `StatedStatus`.

    Returns
    -------
    StatedStatus
    """
    both = ~np.isnan(computed) & ~np.isnan(stated)
    differ = both & (computed != stated)
    return StatedStatus(
        both=int(both.sum()),
        agree=int(both.sum() - differ.sum()),
        stated_positive=int((differ & (stated == 1.0)).sum()),
        computed_positive=int((differ & (computed == 1.0)).sum()),
        filled=filled,
    )


def stated_status(cohort: Cohort) -> StatedStatus | None:
    """Compare the HER2 status that a cohort states with what its assays give.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    StatedStatus or None
        None where it states none, or has no assay to compute it from. As counted when a study was read, before what it
        does not state was filled in from its assays; else by the patients as they are.
    """
    for fault in cohort.faults:
        if fault.code == rules.STATUS_COMPARED.code:
            both, agree, stated, computed = (int(n.replace(",", "")) for n in _COUNT.findall(fault.what)[:4])
            return StatedStatus(both, agree, stated, computed)
    patients = cohort.patients
    read_as = {c.how for c in cohort.columns if c.column_id == "her2_status"}
    if not read_as - {"derived"} or not set(_ASSAYS) & set(patients):
        return None
    empty = pd.Series(np.nan, index=patients.index)
    ihc = patients.get("her2_ihc", empty.astype(object))
    computed_status = her2_status(
        ihc.astype(object).where(ihc.notna(), None).to_numpy(),
        patients.get("her2_ish_ratio", empty).to_numpy(),
        patients.get("erbb2_copy_number", empty).to_numpy(),
        patients.get("her2_ish_positive", empty).to_numpy(),
    )
    return compared_status(patients["her2_status"].to_numpy(), computed_status, filled="derived" in read_as)


def status_line(cohort: Cohort) -> str:
    """Tell in one line how far stated HER2 status and assays agree, where the faults of the cohort do not yet.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    str
        Empty where there is nothing to tell.
    """
    found = stated_status(cohort)
    if found is None or not found.both or any(f.code == rules.STATUS_COMPARED.code for f in cohort.faults):
        return ""
    filled = " Statuses filled in from the assays are among those that agree." if found.filled else ""
    return f"her2_status {found.note('her2_status').what}{filled}"
