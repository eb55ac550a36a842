"""Scores: what each column means, that reasons add up, and that a patient's score depends on that patient alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.biomarkers import measures
from features.feature_schema import FeatureColumn, FeatureSchema
from features.feature_table import encode
from serving.number_texts import exact_texts, rounded_text, rounded_texts, signed_texts
from serving.patients import Patients
from serving.reasons import reason_columns, value_text
from serving.scores import (
    BANDS,
    LIKELY,
    UNCERTAIN,
    UNLIKELY,
    data_origin,
    is_number,
    risk_bands,
    score,
    score_columns,
)
from serving.shift import CORE_BIOMARKERS, column_shifts, count_shift, names_of, outside_training_range, range_names
from training.model_bundle import ModelBundle, read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

LEVELS = ("0", "ultralow", "1+", "2+", "3+")
NUMBERS = {"erbb2_mrna_z": 6.0, "erbb2_copy_number": 40.0, "p95her2_ratio": 1.0, "til_percent": 100.0}


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> ModelBundle:
    return read_bundle(bundle_folder)


def scored(bundle: ModelBundle, patients: pd.DataFrame, **options: int) -> pd.DataFrame:
    return score(bundle, patients, encode(patients, bundle.record.schema), **options).table


@st.composite
def drawn_patients(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 12))

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    numbers = {
        name: pd.Series(column(st.floats(-most, most) | st.just(float("nan"))), dtype=np.float64)
        for name, most in NUMBERS.items()
    }
    return pd.DataFrame(
        {
            "patient_id": pd.Series([f"H{i}" for i in range(rows)], dtype="str"),
            "adc": pd.Series(column(st.sampled_from(["T-DM1", "T-DXd", "RC48", "none"])), dtype="str"),
            "setting": pd.Series(column(st.sampled_from(["neoadjuvant", "metastatic", "adjuvant", None])), dtype="str"),
            "her2_ihc": pd.Series(column(st.sampled_from([*LEVELS, None])), dtype="str"),
            "cdk12_amplified": pd.Series(column(st.sampled_from([0.0, 1.0, float("nan")])), dtype=np.float64),
            **numbers,
        }
    )


# -- columns -----------------------------------------------------------------------------------------------------


def test_the_columns_are_those_of_the_contract() -> None:
    assert score_columns(1) == (
        *("patient_id", "adc", "response_probability", "probability_low", "probability_high", "risk_band"),
        *("reason_1", "reason_1_feature", "reason_1_value", "reason_1_contribution"),
        *("outside_training_range", "missing_core_biomarkers", "endpoint", "model_version"),
    )
    assert score_columns(0, with_origin=True)[-2:] == ("model_version", "data_origin")
    assert [name for name in score_columns(3) if re.fullmatch(r"reason_\d", name)] == [f"reason_{i}" for i in (1, 2, 3)]


def test_numbers_are_doubles_and_all_else_is_text(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    table = scored(bundle, learned_cohort.patients)
    for name, column in table.items():
        assert column.dtype == ("float64" if is_number(str(name)) else "str")


def test_the_probability_lies_within_its_interval(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    table = scored(bundle, learned_cohort.patients)
    assert table["response_probability"].between(table["probability_low"], table["probability_high"]).all()
    assert table["probability_low"].min() >= 0
    assert table["probability_high"].max() <= 1


def test_scores_tell_responders_from_others(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    table = scored(bundle, learned_cohort.patients)
    responded = learned_cohort.patients["pcr"] == 1
    probability = table["response_probability"]
    assert probability[responded].mean() > probability[~responded].mean() + 0.1


def test_no_patients_give_an_empty_table_with_all_columns(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    table = scored(bundle, learned_cohort.patients.iloc[:0])
    assert tuple(table.columns) == score_columns(3)
    assert len(table) == 0


def test_a_band_is_named_only_where_the_whole_interval_has_left_the_response_rate_behind() -> None:
    # By hand: odds 1, times and divided by 1.5, are probabilities of 0.6 and 0.4.
    low, high = np.array([0.61, 0.59, 0.10, 0.10]), np.array([0.90, 0.90, 0.39, 0.41])
    assert [BANDS[band] for band in risk_bands(low, high, 0.5)] == [LIKELY, UNCERTAIN, UNLIKELY, UNCERTAIN]
    # Odds 1/4, times and divided by 1.5: 3/11 and 1/7.
    low, high = np.array([0.273, 0.272, 0.01, 0.01]), np.array([0.9, 0.9, 0.142, 0.143])
    assert [BANDS[band] for band in risk_bands(low, high, 0.2)] == [LIKELY, UNCERTAIN, UNLIKELY, UNCERTAIN]


def test_simulated_patients_and_simulated_models_are_both_told(bundle: ModelBundle) -> None:
    stamp = msgspec.structs.replace(bundle.record.cohort, kind="simulated")
    made_up = replace(bundle, record=msgspec.structs.replace(bundle.record, cohort=stamp))
    assert data_origin(bundle, "measured") == ""
    assert data_origin(bundle, "simulated") == "simulated patients"
    assert data_origin(made_up, "measured") == "model of simulated patients"
    assert data_origin(made_up, "semi-synthetic") == "semi-synthetic patients, model of simulated patients"


# -- reasons -----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(patients=drawn_patients())
def test_contributions_with_the_base_add_up_to_the_log_odds(bundle: ModelBundle, patients: pd.DataFrame) -> None:
    matrix = encode(patients, bundle.record.schema).to_numpy()
    log_odds = bundle.predict_log_odds(matrix)
    np.testing.assert_allclose(bundle.contributions(matrix).sum(axis=1), log_odds, rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(patients=drawn_patients())
def test_reasons_are_the_largest_contributions_in_order(bundle: ModelBundle, patients: pd.DataFrame) -> None:
    schema = bundle.record.schema
    every = len(schema.columns)
    table = scored(bundle, patients, top_reasons=every)
    amounts = table[[f"reason_{i}_contribution" for i in range(1, every + 1)]].to_numpy()
    sizes = np.abs(np.nan_to_num(amounts))
    assert (np.diff(sizes, axis=1) <= 0).all()
    contributions = bundle.contributions(encode(patients, schema).to_numpy())[:, :-1]
    for row in range(len(table)):
        for i in range(1, every + 1):
            name = table[f"reason_{i}_feature"][row]
            if isinstance(name, str):
                told = table[f"reason_{i}_contribution"][row]
                assert told == np.round(contributions[row, schema.names.index(name)], 9)
                assert table[f"reason_{i}"][row].endswith(f"({told:+.2f})")


def test_a_column_that_moves_nothing_is_no_reason(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    many = len(bundle.record.schema.columns) + 2
    table = scored(bundle, learned_cohort.patients.head(20), top_reasons=many)
    assert table[f"reason_{many}"].isna().all()
    assert not (table.filter(regex=r"_contribution$") == 0.0).any(axis=None)
    same = (
        table.filter(regex=r"^reason_\d+$").isna().to_numpy() == table.filter(regex="_contribution$").isna().to_numpy()
    )
    assert same.all()


def column(label: str, kind: str, unit: str, levels: tuple[str, ...] = (), source: str = "biomarker") -> FeatureColumn:
    return msgspec.convert(
        {"name": "x", "label": label, "kind": kind, "unit": unit, "source": source, "levels": levels}, FeatureColumn
    )


DAR = column("Drug-to-antibody ratio", "numeric", "drugs per antibody", source="adc_profile")


@pytest.mark.parametrize(
    ("column", "value", "text", "plain"),
    [
        (column("HER2 IHC", "ordinal", "level", LEVELS), 4.0, "HER2 IHC 3+", "3+"),
        (column("HER2 class (zero, low)", "ordinal", "level", ("zero", "low")), 1.0, "HER2 class low", "low"),
        (column("CDK12 amplification", "binary", "yes/no"), 1.0, "CDK12 amplification: yes", "yes"),
        (column("PTEN loss", "binary", "yes/no"), 0.0, "PTEN loss: no", "no"),
        (column("p95HER2 positive", "binary", "yes/no"), np.nan, "p95HER2 positive: not measured", ""),
        (column("HER2 copies per cell", "numeric", "copies"), 12.0, "HER2 copies per cell 12", "12"),
        (column("HER2/CEP17 ratio", "numeric", "ratio"), 2.25, "HER2/CEP17 ratio 2.25", "2.25"),
        (column("ERBB2 expression", "numeric", "z-score"), -1.25, "ERBB2 expression -1.25 SD", "-1.25"),
        (column("ERBB2 expression", "numeric", "z-score"), 0.1234, "ERBB2 expression +0.123 SD", "0.1234"),
        (column("Ki-67", "numeric", "percent"), 30.0, "Ki-67 30%", "30"),
        (column("Serum HER2", "numeric", "ng/mL"), 12345.6, "Serum HER2 12346 ng/mL", "12345.6"),
        (column("Age", "numeric", "years"), 61.0, "Age 61 years", "61"),
        (DAR, 3.5, "Drug-to-antibody ratio 3.5", "3.5"),
        (DAR, np.nan, "Drug-to-antibody ratio: not known", ""),
    ],
)
def test_a_reason_reads_as_biomarker_value_unit_and_signed_log_odds(
    column: FeatureColumn, value: float, text: str, plain: str
) -> None:
    schema, encoded, one = FeatureSchema(columns=(column,)), np.array([[value]]), np.zeros((1, 1), dtype=np.int64)
    written = [
        reason_columns(schema, encoded, np.array([[amount]]), one, 1)["reason_1"][0].as_py() for amount in (0.824, -0.3)
    ]
    assert written == [f"{text} (+0.82)", f"{text} (-0.30)"]
    assert value_text(column, value) == plain


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_told_to_machines_reads_back_exactly(value: float) -> None:
    assert float(value_text(column("x", "numeric", "ratio"), value)) == value


@settings(deadline=None)
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.floats(-20, 20).map(lambda x: round(x, 3)), min_size=1
    )
)
def test_numbers_written_together_are_written_as_one_by_one(values: list[float]) -> None:
    numbers = np.array(values)
    assert rounded_texts(numbers).to_pylist() == [rounded_text(value) for value in values]
    assert exact_texts(numbers).to_pylist() == [repr(value).removesuffix(".0") for value in values]
    amounts = np.round(np.clip(numbers, -30, 30), 9)
    codes, texts = signed_texts(amounts)
    assert [texts[code] for code in codes] == [f"{amount:+.2f}" for amount in amounts]


# -- each patient alone ------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(patients=drawn_patients(), seed=st.integers(0, 2**31))
def test_neither_the_order_of_rows_nor_of_columns_changes_a_bit(
    bundle: ModelBundle, patients: pd.DataFrame, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    rows, columns = draw.permutation(len(patients)), draw.permutation(patients.columns.to_numpy())
    shuffled = patients.iloc[rows][list(columns)].reset_index(drop=True)
    expected = scored(bundle, patients).iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(scored(bundle, shuffled), expected, check_exact=True)


# -- cautions ----------------------------------------------------------------------------------------------------


def test_values_beyond_those_of_training_are_named_row_by_row(bundle: ModelBundle, learned_cohort: Cohort) -> None:
    patients = learned_cohort.patients.head(5).copy()
    patients.loc[0, ["erbb2_mrna_z", "til_percent"]] = [99.0, 50.0]
    patients.loc[1, "setting"] = "adjuvant"
    patients.loc[2, "adc"] = "RC48"
    patients.loc[3, ["erbb2_mrna_z", "erbb2_copy_number", "p95her2_ratio", "til_percent"]] = np.nan
    told = scored(bundle, patients)["outside_training_range"].tolist()
    assert told == ["erbb2_mrna_z", "setting", "adc", "", ""]


@pytest.mark.parametrize("adc", ["RC48", "none"])
def test_a_patient_whose_adc_the_model_never_saw_is_in_no_band_but_uncertain(
    bundle: ModelBundle, learned_cohort: Cohort, adc: str
) -> None:
    patients = learned_cohort.patients
    assert set(scored(bundle, patients)["risk_band"]) == {LIKELY, UNCERTAIN, UNLIKELY}
    table = scored(bundle, patients.assign(adc=pd.Series([adc] * len(patients), dtype="str")))
    assert set(table["risk_band"]) == {UNCERTAIN}
    assert set(table["outside_training_range"]) == {"adc"}


def test_the_treatment_setting_is_checked_even_where_the_model_does_not_use_it(
    bundle: ModelBundle, learned_cohort: Cohort
) -> None:
    schema = msgspec.structs.replace(
        bundle.record.schema, columns=tuple(c for c in bundle.record.schema.columns if c.name != "setting")
    )
    stamp = msgspec.structs.replace(bundle.record.cohort, settings=("neoadjuvant",))
    record = msgspec.structs.replace(bundle.record, schema=schema, cohort=stamp)
    patients = learned_cohort.patients
    flags = outside_training_range(record, Patients.of(patients).columns, encode(patients, schema).to_numpy())
    told = np.array(names_of(flags, range_names(schema)).to_pylist())
    assert (told == np.where(patients["setting"] == "metastatic", "setting", "")).all()


def test_a_core_biomarker_is_missing_only_where_every_column_of_it_is(
    bundle: ModelBundle, learned_cohort: Cohort
) -> None:
    patients = learned_cohort.patients.head(3).copy()
    patients["her2_ihc"] = pd.Series(["3+", None, None, None, None], dtype="str")
    patients["erbb2_mrna_z"], patients["erbb2_copy_number"] = np.nan, [np.nan, np.nan, 8.0]
    patients["p95her2_ratio"], patients["cdk12_amplified"] = [0.1, 0.1, np.nan], [np.nan, 1.0, 0.0]
    told = scored(bundle, patients)["missing_core_biomarkers"].tolist()
    assert told == ["cdk12", "her2_level", "p95her2"]


def test_the_core_biomarkers_cover_every_core_column_of_the_catalogue() -> None:
    named = [column for columns in CORE_BIOMARKERS.values() for column in columns]
    assert sorted(named) == sorted(m.id for m in measures().values() if m.core)


def test_the_shift_of_a_file_compares_missing_and_outside_values_with_training(
    bundle: ModelBundle, learned_cohort: Cohort
) -> None:
    patients = learned_cohort.patients.head(10).copy()
    patients["til_percent"] = [np.nan] * 6 + [99.9, 99.9, 1.0, 2.0]
    matrix = encode(patients, bundle.record.schema).to_numpy()
    flags = outside_training_range(bundle.record, Patients.of(patients).columns, matrix)
    shifts = {s.name: s for s in column_shifts(bundle.record, count_shift(matrix, flags))}
    til = shifts["til_percent"]
    assert (til.missing, til.outside, til.notable) == (0.6, 0.5, True)
    assert til.missing_in_training == pytest.approx(learned_cohort.patients["til_percent"].isna().mean(), abs=1e-6)
    assert "adc_dar" not in shifts
