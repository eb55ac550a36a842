"""HER2 status by ASCO/CAP 2018, affirmed 2023, against a table worked out by hand from the guideline."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.her2_status import (
    her2_class,
    her2_status,
    is_heterogeneous_cap,
    is_heterogeneous_metzger,
    ish_group,
    ish_result,
)

POSITIVE, NEGATIVE, OPEN = 1.0, 0.0, math.nan
IHC = ("0", "ultralow", "1+", "2+", "3+", None)
#: Ratio and copies well inside each group.
INSIDE = {1: (3.0, 7.0), 2: (2.4, 3.0), 3: (1.5, 7.0), 4: (1.5, 5.0), 5: (1.1, 2.2)}
#: Status by group (rows) and IHC (columns as in IHC), by hand from Wolff et al. 2018. Group 0: no ISH.
BY_HAND = {
    0: (NEGATIVE, NEGATIVE, NEGATIVE, OPEN, POSITIVE, OPEN),
    1: (POSITIVE, POSITIVE, POSITIVE, POSITIVE, POSITIVE, POSITIVE),
    2: (NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE, OPEN),
    3: (NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE, POSITIVE, OPEN),
    4: (NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE, OPEN),
    5: (NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE, NEGATIVE),
}


@pytest.mark.parametrize("group", BY_HAND)
@pytest.mark.parametrize("position", range(len(IHC)))
def test_status_follows_the_guideline_in_every_group_and_ihc_class(group: int, position: int) -> None:
    ratio, copies = INSIDE.get(group, (math.nan, math.nan))
    expected = BY_HAND[group][position]
    status = her2_status(IHC[position], ratio, copies)
    np.testing.assert_equal(status.item(), expected)
    vector = her2_status(np.array(IHC, dtype=object), np.full(6, ratio), np.full(6, copies))
    np.testing.assert_equal(vector[position], expected)


@pytest.mark.parametrize(
    ("ratio", "copies", "group"),
    [
        (2.0, 4.0, 1),
        (2.0, 3.99, 2),
        (1.99, 6.0, 3),
        (1.99, 5.99, 4),
        (1.99, 4.0, 4),
        (1.99, 3.99, 5),
        (12.0, 20.0, 1),
        (math.nan, 5.0, math.nan),
        (2.5, math.nan, math.nan),
    ],
)
def test_the_limits_of_the_groups_belong_to_the_side_that_the_guideline_says(
    ratio: float, copies: float, group: float
) -> None:
    np.testing.assert_equal(ish_group(ratio, copies).item(), float(group))


@pytest.mark.parametrize(
    ("ihc", "ratio", "copies", "stated", "expected"),
    [
        ("2+", 2.0, math.nan, math.nan, POSITIVE),
        ("2+", 1.9, math.nan, math.nan, NEGATIVE),
        ("2+", math.nan, 6.0, math.nan, POSITIVE),
        ("2+", math.nan, 3.9, math.nan, NEGATIVE),
        ("2+", math.nan, 5.0, math.nan, OPEN),
        ("2+", math.nan, math.nan, 1.0, POSITIVE),
        ("2+", math.nan, math.nan, 0.0, NEGATIVE),
        ("2+", 2.4, 3.0, 1.0, NEGATIVE),
        (None, math.nan, math.nan, 1.0, POSITIVE),
    ],
)
def test_part_of_an_ish_is_used_and_a_measured_group_goes_before_a_stated_result(
    ihc: str | None, ratio: float, copies: float, stated: float, expected: float
) -> None:
    np.testing.assert_equal(ish_result(ratio, copies, ihc, stated).item(), expected)
    np.testing.assert_equal(her2_status(ihc, ratio, copies, stated).item(), expected)


@pytest.mark.parametrize(
    ("ihc", "status", "expected"),
    [
        ("0", NEGATIVE, "zero"),
        ("ultralow", NEGATIVE, "ultralow"),
        ("1+", NEGATIVE, "low"),
        ("2+", NEGATIVE, "low"),
        ("2+", POSITIVE, "positive"),
        ("3+", POSITIVE, "positive"),
        ("1+", POSITIVE, "positive"),
        ("2+", OPEN, None),
        (None, POSITIVE, "positive"),
        (None, NEGATIVE, None),
    ],
)
def test_low_ultralow_and_zero_are_told_apart(ihc: str | None, status: float, expected: str | None) -> None:
    assert her2_class(ihc, status).item() == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, 0.0), (0.05, 0.0), (0.051, 1.0), (0.3, 1.0), (0.499, 1.0), (0.5, 0.0), (1.0, 0.0), (math.nan, math.nan)],
)
def test_cap_counts_more_than_5_and_less_than_50_percent_of_cells(fraction: float, expected: float) -> None:
    np.testing.assert_equal(is_heterogeneous_cap(fraction).item(), expected)


@pytest.mark.parametrize(
    ("amplified", "negative", "expected"),
    [
        ([0.9, 0.8, 0.95], [0, 0, 0], 0.0),
        ([0.9, 0.3, 0.95], [0, 0, 0], 1.0),
        ([0.9, 0.8, 0.02], [0, 0, 1], 1.0),
        ([0.9, math.nan, math.nan], [0, math.nan, math.nan], 0.0),
        ([math.nan] * 3, [math.nan] * 3, math.nan),
    ],
)
def test_metzger_filho_counts_one_partly_amplified_or_one_negative_area(
    amplified: list[float], negative: list[float], expected: float
) -> None:
    np.testing.assert_equal(is_heterogeneous_metzger([amplified], [negative]).item(), expected)


@given(st.floats(0.1, 30), st.floats(0, 60))
def test_every_dual_probe_result_is_in_exactly_one_group(ratio: float, copies: float) -> None:
    assert ish_group(ratio, copies).item() in {1, 2, 3, 4, 5}


@given(st.sampled_from(IHC[:5]), st.floats(0.1, 30), st.floats(0, 60), st.floats(0, 30))
def test_more_copies_at_the_same_ratio_never_turn_a_tumour_negative(
    ihc: str, ratio: float, copies: float, more: float
) -> None:
    assert her2_status(ihc, ratio, copies + more).item() >= her2_status(ihc, ratio, copies).item()


@given(st.floats(0.1, 30), st.floats(0, 60))
def test_a_stronger_ihc_never_turns_a_tumour_negative(ratio: float, copies: float) -> None:
    statuses = her2_status(np.array(["0", "ultralow", "1+", "2+", "3+"], dtype=object), ratio, copies)
    assert (np.diff(statuses) >= 0).all()
