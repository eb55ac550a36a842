"""HER2 status by ASCO/CAP from immunohistochemistry and in-situ hybridisation; HER2-low, ultralow and zero.

Thresholds are those of the 2018 focused update, affirmed in 2023. In-situ hybridisation (ISH) with a dual probe is read
in five groups by the HER2/CEP17 ratio and the mean HER2 copies per cell; groups 2, 3 and 4 are settled by IHC.

References
----------
Wolff et al., J Clin Oncol 2018;36:2105 (focused update). Wolff et al., J Clin Oncol 2023;41:3867 (affirmation).
Bardia et al., N Engl J Med 2024;391:2110 (DESTINY-Breast06, ultralow).
Metzger Filho et al., Cancer Discov 2021;11:2474 (heterogeneity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from features.columns.coded_column import CodedColumn, among

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: ASCO/CAP 2018: HER2/CEP17 ratio from which a dual-probe ISH counts as raised.
RATIO_RAISED = 2.0
#: ASCO/CAP 2018: mean HER2 copies per cell that divide groups 1 from 2, and 4 from 5.
COPIES_INTERMEDIATE = 4.0
#: ASCO/CAP 2018: mean HER2 copies per cell from which group 3 begins; a single probe is positive from here too.
COPIES_HIGH = 6.0
#: CAP 2009 and ASCO/CAP: share of cells with a ratio above HETEROGENEOUS_RATIO, both limits excluded.
HETEROGENEOUS_LOW, HETEROGENEOUS_HIGH = 0.05, 0.50
#: CAP 2009: ratio above which a cell counts as amplified for heterogeneity.
HETEROGENEOUS_RATIO = 2.2

Her2Class = Literal["zero", "ultralow", "low", "positive"]

_NEGATIVE_IHC = ("0", "ultralow", "1+")
#: Classes of tumours that are not HER2-positive, by IHC. 2+ needs a negative ISH to be low.
_CLASS_BY_IHC: dict[str, Her2Class] = {"0": "zero", "ultralow": "ultralow", "1+": "low", "2+": "low"}


def ish_group(ratio: ArrayLike, copies: ArrayLike) -> NDArray[np.float64]:
    """Tell the ASCO/CAP group of a dual-probe ISH.

    Parameters
    ----------
    ratio : array_like of float, shape (n,)
        HER2/CEP17 ratio.
    copies : array_like of float, shape (n,)
        Mean HER2 copies per cell.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1 to 5; NaN where ratio or copies are missing. Group 1: ratio >= 2.0 and copies >= 4.0; 2: >= 2.0, < 4.0;
        3: < 2.0, >= 6.0; 4: < 2.0, >= 4.0 and < 6.0; 5: < 2.0, < 4.0.

    References
    ----------
    Wolff et al. 2018, Figure 3.
    """
    r, c = np.broadcast_arrays(np.asarray(ratio, dtype=np.float64), np.asarray(copies, dtype=np.float64))
    group = np.full(r.shape, np.nan)
    raised = r >= RATIO_RAISED
    low = r < RATIO_RAISED
    group[raised & (c >= COPIES_INTERMEDIATE)] = 1
    group[raised & (c < COPIES_INTERMEDIATE)] = 2
    group[low & (c >= COPIES_HIGH)] = 3
    group[low & (c >= COPIES_INTERMEDIATE) & (c < COPIES_HIGH)] = 4
    group[low & (c < COPIES_INTERMEDIATE)] = 5
    return group


def ish_result(ratio: ArrayLike, copies: ArrayLike, ihc: ArrayLike, stated: ArrayLike = np.nan) -> NDArray[np.float64]:
    """Tell whether ISH is positive, with IHC where the group needs it.

    A measured group goes before a stated result, since older reports used other thresholds. Where only the ratio is
    known, 2.0 divides; where only the copies are known (a single probe), 6.0 and more is positive, below 4.0 negative.

    Parameters
    ----------
    ratio, copies : array_like of float, shape (n,)
    ihc : array_like of str, shape (n,)
        "0", "ultralow", "1+", "2+", "3+"; None where missing.
    stated : array_like of float, shape (n,)
        ISH result as reported: 1.0 positive, 0.0 negative, NaN missing.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1.0, 0.0, or NaN where it cannot be told.
    """
    group = ish_group(ratio, copies)
    strong, equivocal = among(ihc, ("3+",)), among(ihc, ("2+",))
    r, c, said, strong, equivocal, known = np.broadcast_arrays(
        np.asarray(ratio, dtype=np.float64),
        np.asarray(copies, dtype=np.float64),
        np.asarray(stated, dtype=np.float64),
        strong,
        equivocal,
        strong | equivocal | among(ihc, _NEGATIVE_IHC),
    )
    # Ratio alone cannot tell the rare groups 2, 3 and 4 from 1 and 5.
    alone = np.select([r >= RATIO_RAISED, r < RATIO_RAISED], [1.0, 0.0], np.nan)
    single_probe = np.select([c >= COPIES_HIGH, c < COPIES_INTERMEDIATE], [1.0, 0.0], np.nan)
    result = np.where(np.isnan(said), np.where(np.isnan(alone), single_probe, alone), said)
    result = np.where(group == 1, 1.0, result)
    result = np.where((group == 2) | (group == 4), np.where(known, strong.astype(float), np.nan), result)
    result = np.where(group == 3, np.where(known, (strong | equivocal).astype(float), np.nan), result)
    return np.where(group == 5, 0.0, result)


def her2_status(
    ihc: ArrayLike, ratio: ArrayLike = np.nan, copies: ArrayLike = np.nan, ish_stated: ArrayLike = np.nan
) -> NDArray[np.float64]:
    """Tell HER2 status by ASCO/CAP 2018, affirmed 2023.

    IHC 3+ is positive by itself and group 1 is positive by itself; 2+ is settled by ISH; 0, ultralow and 1+ are
    negative unless ISH is group 1. A tumour whose assays disagree (1+ with group 1, 3+ with group 5) is positive here
    and its row is flagged where the cohort is read.

    Parameters
    ----------
    ihc : array_like of str, shape (n,)
        "0", "ultralow", "1+", "2+", "3+"; None where missing.
    ratio : array_like of float, shape (n,)
        HER2/CEP17 ratio.
    copies : array_like of float, shape (n,)
        Mean HER2 copies per cell.
    ish_stated : array_like of float, shape (n,)
        ISH result as reported: 1.0 positive, 0.0 negative.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1.0 positive, 0.0 negative, NaN where IHC and ISH do not settle it (2+ without ISH; groups 2 to 4 without IHC).

    References
    ----------
    Wolff et al. 2018, Figures 1, 3 to 6.
    """
    ish = ish_result(ratio, copies, ihc, ish_stated)
    status = ish.copy()
    status[np.broadcast_to(among(ihc, _NEGATIVE_IHC), ish.shape) & np.isnan(ish)] = 0.0
    status[np.broadcast_to(among(ihc, ("3+",)), ish.shape)] = 1.0
    return status


def her2_class(ihc: ArrayLike, status: ArrayLike) -> NDArray[np.object_]:
    """Tell HER2-zero, ultralow, low and positive apart.

    Low is IHC 1+, or 2+ with negative ISH; ultralow is faint incomplete staining in at most 10% of cells. Where
    pathologists do not report ultralow, their 0 holds it, and so does "zero" here.

    Parameters
    ----------
    ihc : array_like of str, shape (n,)
    status : array_like of float, shape (n,)
        HER2 status: 1.0 positive, 0.0 negative, NaN missing.

    Returns
    -------
    numpy.ndarray of object, shape (n,)
        "zero", "ultralow", "low", "positive"; None where IHC is missing and the tumour is not positive, or 2+ is open.
    """
    return np.asarray(her2_class_codes(ihc, status).objects(), dtype=object)


def her2_class_codes(ihc: ArrayLike | CodedColumn, status: ArrayLike) -> CodedColumn:
    """Tell the classes of `her2_class` by codes, for many rows."""
    known = np.asarray(status, dtype=np.float64)
    shape = np.broadcast_shapes(known.shape, among(ihc, ()).shape)
    known = np.broadcast_to(known, shape)
    codes = np.full(shape, -1, dtype=np.int64)
    for code, name in enumerate(_CLASS_BY_IHC):
        codes[np.broadcast_to(among(ihc, (name,)), shape) & (known == 0.0)] = code
    codes[known == 1.0] = len(_CLASS_BY_IHC)
    return CodedColumn(codes, np.array([*_CLASS_BY_IHC.values(), "positive"], dtype=object))


def is_heterogeneous_cap(amplified_fraction: ArrayLike) -> NDArray[np.float64]:
    """Tell genetic heterogeneity as CAP defines it.

    Parameters
    ----------
    amplified_fraction : array_like of float, shape (n,)
        Share of tumour cells with a HER2/CEP17 ratio above 2.2, 0 to 1.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1.0 where more than 5% and less than 50% of cells are amplified, else 0.0; NaN where missing.

    References
    ----------
    Vance et al., Arch Pathol Lab Med 2009;133:611.
    """
    fraction = np.asarray(amplified_fraction, dtype=np.float64)
    within = (fraction > HETEROGENEOUS_LOW) & (fraction < HETEROGENEOUS_HIGH)
    return np.where(np.isnan(fraction), np.nan, within.astype(np.float64))


def is_heterogeneous_metzger(area_amplified_fractions: ArrayLike, area_her2_negative: ArrayLike) -> NDArray[np.float64]:
    """Tell heterogeneity as the phase 2 trial of T-DM1 and pertuzumab by Metzger Filho and colleagues defined it.

    There, 16 of 157 tumours were heterogeneous: pCR 0% against 55% of the others.

    Parameters
    ----------
    area_amplified_fractions : array_like of float, shape (n, areas)
        Share of cells with ERBB2 amplification in each area of the tumour (two biopsies of three areas there).
    area_her2_negative : array_like of float, shape (n, areas)
        1.0 where an area tested HER2-negative, 0.0 where not, NaN where not tested.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1.0 where any area has amplification in more than 5% and less than 50% of cells, or tested HER2-negative; 0.0
        where no tested area does; NaN where nothing was tested.

    References
    ----------
    Metzger Filho et al., Cancer Discov 2021;11:2474, PMC8598376.
    """
    partly = np.atleast_2d(is_heterogeneous_cap(area_amplified_fractions))
    negative = np.atleast_2d(np.asarray(area_her2_negative, dtype=np.float64))
    tested = ~(np.isnan(partly).all(axis=1) & np.isnan(negative).all(axis=1))
    found = (partly == 1.0).any(axis=1) | (negative == 1.0).any(axis=1)
    return np.where(tested, found.astype(np.float64), np.nan)
