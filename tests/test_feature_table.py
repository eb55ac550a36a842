"""Cohort and ADC profile to model columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cohort import Cohort, CohortSource, ColumnMatch
from features.errors import InputError
from features.feature_table import FeatureSchema, build_schema, encode, left_out_columns

PATIENTS = pd.DataFrame(
    {
        "patient_id": ["001", "002", "003", "004", "005", "006"],
        "adc": ["T-DM1", "T-DM1", "T-DXd", "T-DXd", "T-DM1", "T-DXd"],
        "setting": ["metastatic", "neoadjuvant", "metastatic", np.nan, "neoadjuvant", "metastatic"],
        "pcr": [1.0, 0.0, np.nan, np.nan, 1.0, 0.0],
        "her2_ihc": ["3+", "2+", np.nan, "1+", "3+", "0"],
        "her2_ish_ratio": [6.1, 2.4, np.nan, 1.1, 8.0, 1.0],
        "her2_heterogeneous": [0.0, 1.0, 0.0, np.nan, 0.0, 1.0],
        "cdk12_amplified": [1.0, 1.0, np.nan, 1.0, 1.0, 1.0],
        "slc46a3_mrna_z": [0.1, -1.0, 0.4, 2.0, np.nan, 0.0],
        "slx4_mutated": [0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        "pam50_subtype": ["her2_enriched", "luminal_a", np.nan, "luminal_b", "her2_enriched", "basal"],
        "centre score": ["1", "2.5", np.nan, "3", "4", "5"],
        "lab": ["A", "B", "A", "B", np.nan, "C"],
    }
).astype({"patient_id": "str", "adc": "str"})


def cohort(patients: pd.DataFrame = PATIENTS) -> Cohort:
    unused = tuple(ColumnMatch(c, None, "unused") for c in ("centre score", "lab"))
    return Cohort(
        CohortSource("site_a.csv", None, "0" * 64),
        patients,
        tuple(range(2, len(patients) + 2)),
        len(patients),
        columns=unused,
    )


def with_drugs(*drugs: str) -> Cohort:
    patients = PATIENTS.copy()
    patients["adc"] = [drugs[i % len(drugs)] for i in range(len(patients))]
    return cohort(patients)


def signs(of: Cohort) -> dict[str, int]:
    return {c.name: c.monotone for c in build_schema(of).columns}


def test_the_schema_holds_what_varies_and_tells_why_the_rest_is_left_out() -> None:
    schema = build_schema(cohort())
    assert {"her2_ihc", "her2_ish_ratio", "her2_heterogeneous", "slc46a3_mrna_z", "setting"} <= set(schema.names)
    assert left_out_columns(cohort(), schema) == {
        "cdk12_amplified": "the same value in every patient",
        "slx4_mutated": "acquired under therapy, so no baseline biomarker",
    }


def test_outcomes_and_identifiers_are_never_columns_of_the_model() -> None:
    assert not {"patient_id", "adc", "pcr"} & set(build_schema(cohort()).names)


def test_levels_become_their_positions_and_missing_or_unseen_ones_nan() -> None:
    schema = build_schema(cohort())
    encoded = encode(PATIENTS, schema)
    levels = next(c.levels for c in schema.columns if c.name == "her2_ihc")
    assert levels == ("0", "ultralow", "1+", "2+", "3+")
    np.testing.assert_array_equal(encoded["her2_ihc"], [4, 3, np.nan, 2, 4, 0])
    strange = PATIENTS.assign(setting=["palliative"] * 6, her2_ihc=["4+"] * 6)
    assert encode(strange, schema)[["setting", "her2_ihc"]].isna().all(axis=None)


def test_every_column_is_a_double_in_schema_order_with_the_index_of_the_patients() -> None:
    schema = build_schema(cohort())
    encoded = encode(PATIENTS.set_index(pd.Index(list("fedcba"))), schema)
    assert tuple(encoded.columns) == schema.names
    assert (encoded.dtypes == np.float64).all()
    assert list(encoded.index) == list("fedcba")


def test_a_column_that_is_absent_is_missing_for_every_patient() -> None:
    schema = build_schema(cohort())
    encoded = encode(PATIENTS[["patient_id", "adc"]], schema)
    drug = [c.name for c in schema.columns if c.source == "adc_profile"]
    assert encoded.drop(columns=drug).isna().all(axis=None)
    assert encoded[drug].notna().all(axis=None)


def test_infinite_numbers_and_texts_in_a_number_column_are_missing() -> None:
    schema = build_schema(cohort())
    assert np.isnan(encode(PATIENTS.assign(her2_ish_ratio=np.inf), schema)["her2_ish_ratio"]).all()
    assert encode(PATIENTS.assign(her2_ish_ratio=["2.5", "n/a"] * 3), schema)["her2_ish_ratio"].tolist()[0] == 2.5


def test_one_adc_has_no_drug_column_two_share_one_and_three_keep_what_tells_them_apart() -> None:
    def drug_columns(of: Cohort) -> list[str]:
        return [c.name for c in build_schema(of).columns if c.source == "adc_profile"]

    assert drug_columns(with_drugs("T-DM1")) == []
    assert drug_columns(with_drugs("T-DM1", "T-DXd")) == ["adc_payload_maytansinoid"]
    assert drug_columns(with_drugs("T-DM1", "T-DXd", "RC48")) == [
        "adc_payload_auristatin",
        "adc_payload_maytansinoid",
        "adc_payload_topoisomerase1",
        "adc_dar",
    ]


def test_the_parts_of_an_adc_are_those_of_the_catalogue_and_unknown_adcs_are_missing() -> None:
    schema = build_schema(with_drugs("T-DM1", "T-DXd", "RC48"))
    drugs = pd.DataFrame({"adc": ["T-DM1", "T-DXd", "RC48", "none", "new drug"]})
    assert encode(drugs, schema)["adc_dar"].tolist()[:3] == [3.5, 8.0, 4.0]
    assert encode(drugs, schema)["adc_payload_auristatin"].tolist()[:3] == [0.0, 0.0, 1.0]
    assert encode(drugs, schema)[3:].isna().all(axis=None)


def test_signs_follow_the_catalogue_for_the_adcs_of_the_cohort() -> None:
    assert signs(with_drugs("T-DM1"))["her2_ihc"] == 1
    assert signs(with_drugs("T-DM1"))["her2_heterogeneous"] == -1
    # SLC46A3 exports the payload of T-DM1 from the lysosome; T-DXd does not need it.
    assert signs(with_drugs("T-DM1"))["slc46a3_mrna_z"] == 1
    assert signs(with_drugs("T-DM1", "T-DXd"))["slc46a3_mrna_z"] == 0
    assert signs(with_drugs("T-DM1"))["pam50_subtype"] == 0


def test_an_adc_of_unknown_linker_leaves_every_sign_free() -> None:
    assert set(signs(with_drugs("T-DM1", "A166")).values()) == {0}


def test_extra_columns_are_numbers_where_all_values_are_and_categories_elsewhere() -> None:
    schema = build_schema(cohort(), extra_features=["centre score", "lab"])
    kinds = {c.name: (c.kind, c.levels, c.monotone) for c in schema.columns if c.source == "extra"}
    assert kinds == {"centre score": ("numeric", (), 0), "lab": ("categorical", ("A", "B", "C"), 0)}
    encoded = encode(PATIENTS, schema)
    np.testing.assert_array_equal(encoded["centre score"], [1, 2.5, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(encoded["lab"], [0, 1, 0, 1, np.nan, 2])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("age at visit", "does not hold"),
        ("pcr", "cannot be a feature"),
        ("empty", "does not differ"),
        ("free text", "40 different"),
    ],
)
def test_an_extra_column_that_cannot_be_used_is_refused_by_name(name: str, told: str) -> None:
    many = pd.concat([PATIENTS] * 10, ignore_index=True)
    many["empty"] = np.nan
    many["free text"] = [f"note {i % 40}" for i in range(len(many))]
    with pytest.raises(InputError, match=told) as caught:
        build_schema(cohort(many), extra_features=[name])
    assert f"column '{name}'" in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(rows=st.permutations(range(6)), columns=st.permutations(list(PATIENTS.columns)))
def test_encoding_does_not_depend_on_the_order_of_rows_and_columns(rows: list[int], columns: list[str]) -> None:
    schema: FeatureSchema = build_schema(cohort(), extra_features=["lab"])
    shuffled = PATIENTS.iloc[rows][columns]
    pd.testing.assert_frame_equal(encode(shuffled, schema).sort_index(), encode(PATIENTS, schema))


def test_a_misspelt_extra_column_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean 'centre score'"):
        build_schema(cohort(), extra_features=["center score"])
