"""What a validation found, in words for a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from training.metrics import METRICS
from training.text_lines import RESEARCH_USE, metrics_table, wrapped
from training.training_table import PUT_ASIDE

if TYPE_CHECKING:
    from training.validation.records import (
        CheckFinding,
        ComparatorRecord,
        ExternalRecord,
        Optimism,
        Stratum,
        ValidationRecord,
    )

_MARKS = {"serious": "!!", "warning": "! ", "note": "  "}


def checks_lines(checks: tuple[CheckFinding, ...]) -> list[str]:
    """List the findings before training; notes and ignored ones by their codes only.

    Parameters
    ----------
    checks : tuple of CheckFinding

    Returns
    -------
    list of str
    """
    lines: list[str] = []
    for finding in checks:
        if not finding.ignored and finding.severity != "note":
            lines += wrapped(f"{_MARKS[finding.severity]} {finding.code} {finding.what} {finding.remedy}", hang=10)
    notes = [f.code for f in checks if f.severity == "note" and not f.ignored]
    ignored = [f.code for f in checks if f.ignored]
    if notes:
        lines += wrapped(f"   Notes in the report: {', '.join(sorted(set(notes)))}.")
    if ignored:
        lines += wrapped(f"   Ignored: {', '.join(sorted(set(ignored)))}.")
    return lines


def validation_lines(record: ValidationRecord) -> list[str]:
    """Say what the held-out patients stood for, whether there is a signal, and how much was overfitting.

    Parameters
    ----------
    record : ValidationRecord

    Returns
    -------
    list of str
    """
    lines = wrapped(record.signal)
    found = {o.metric: o for o in record.optimism.metrics}
    if "auroc" in found:
        lines += wrapped(
            f"By {record.optimism.resamples} refits on resamples: {_optimism('AUROC', found['auroc'])}; "
            f"{_optimism('Brier score', found['brier'])}."
        )
    for part in record.within:
        lines += wrapped(part.warning) if part.warning else []
    return lines


def _optimism(label: str, found: Optimism) -> str:
    if found.corrected.value is None:
        return f"{label} not corrected ({found.corrected.reason})"
    return f"{label} apparent {found.apparent:.2f}, corrected {found.corrected.value:.2f}"


def external_text(record: ExternalRecord) -> str:
    """Report of `adcr validate`.

    Parameters
    ----------
    record : ExternalRecord

    Returns
    -------
    str
    """
    lines = []
    if record.cohort_kind != "measured":
        lines += [f"{record.cohort_kind.upper()} PATIENTS: no number below says anything about real ones.", ""]
    lines.append(f"{record.model} ({record.model_version}) on {record.cohort}: {record.endpoint}")
    drugs = ", ".join(f"{drug} {count}" for drug, count in record.adcs.items())
    lines += wrapped(
        f"{record.patients} patients, {record.events} responded ({record.events / record.patients:.0%}): {drugs}."
    )
    if record.left_out:
        why = " 'adcr cohort check' tells why." if PUT_ASIDE in record.left_out else ""
        lines += wrapped("Left out: " + "; ".join(f"{n} {reason}" for reason, n in record.left_out.items()) + f".{why}")
    if record.own_cohort:
        lines += wrapped(
            "The model learned from this very cohort, so its held-out predictions are judged: no external validation."
        )
    if record.columns_missing:
        lines += wrapped(f"No patient has {', '.join(record.columns_missing)}: the model goes by the rest.")
    rows = [(j.label, j.metrics) for j in (record.as_it_is, *record.recalibrated)]
    for part in (METRICS[:3], METRICS[3:]):
        lines += ["", *metrics_table(rows, part)]
    lines += ["", *wrapped(record.signal)]
    for within in record.within:
        lines += wrapped(within.warning) if within.warning else []
    if record.comparator:
        lines += ["", *_comparator_lines(record.comparator)]
    lines += _subgroup_lines(record.subgroups)
    lines += ["", RESEARCH_USE]
    return "\n".join(lines)


def external_json(record: ExternalRecord) -> str:
    """Content of the report for programs.

    Parameters
    ----------
    record : ExternalRecord

    Returns
    -------
    str
    """
    content = msgspec.to_builtins(record) | {"use": RESEARCH_USE}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _comparator_lines(found: ComparatorRecord) -> list[str]:
    rows = [
        (f"ADC arm, {found.events_adc} of {found.patients_adc}", {"auroc": found.auroc_adc}),
        (f"comparator, {found.events_comparator} of {found.patients_comparator}", {"auroc": found.auroc_comparator}),
        ("difference", {"auroc": found.difference}),
    ]
    return [
        *wrapped(f"Against '{found.arm}', its patients scored as if they had received {found.scored_as}:"),
        *metrics_table(rows, ("auroc",)),
        *wrapped(found.sentence),
    ]


def _subgroup_lines(groups: tuple[Stratum, ...]) -> list[str]:
    if not groups:
        return []
    rows = [(f"{g.by} {g.level}, {g.events} of {g.patients}", g.metrics) for g in groups]
    return ["", "Subgroups (responders of patients)", *metrics_table(rows, ("auroc", "brier"))]
