"""One record of the catalogue in full, as text or Markdown: what is known, how sure it is, and who says so."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, get_args

from features.adcs import Adc, adcs
from features.biomarkers import Biomarker, Route
from features.sources import spelled_out
from features.trials import TrialResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.biomarkers import Measure, Prevalence
    from features.catalogue_lookup import Record

#: A heading ("" for the record's own) and its paragraphs.
Section = tuple[str, list[str]]


def record_lines(record: Record, *, width: int, markdown: bool = False) -> list[str]:
    """Write one record of the catalogue in full.

    Parameters
    ----------
    record : Biomarker, Adc or TrialResult
        The record.
    width : int
        Columns of a line of text; Markdown is not wrapped.
    markdown : bool
        Markdown instead of text.

    Returns
    -------
    list of str
        Lines.
    """
    if isinstance(record, Biomarker):
        title, sections = f"{record.label} ({record.id})", _biomarker_sections(record)
    elif isinstance(record, Adc):
        title, sections = f"{record.name} ({record.id})", _adc_sections(record)
    else:
        title, sections = f"{record.trial}, {record.endpoint} ({record.id})", _trial_sections(record)
    lines = [f"## {title}" if markdown else title]
    for heading, paragraphs in sections:
        kept = [p for p in paragraphs if p]
        if not kept:
            continue
        lines += ["", f"### {heading}" if markdown else heading, *([""] if markdown else [])]
        for paragraph in kept:
            lines += [f"- {paragraph}"] if markdown else _wrapped(paragraph, width)
    return lines


def _wrapped(paragraph: str, width: int) -> list[str]:
    return textwrap.wrap(
        paragraph,
        width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {text}" for name, text in pairs if text]


def route_label(route: Route) -> str:
    """Route in words, with a HER2-targeted ADC that takes it: "maytansinoid, non-cleavable (T-DM1)"."""
    words = route.replace("_noncleavable", ", non-cleavable").replace("_cleavable", ", cleavable")
    words = words.replace("topoisomerase1", "topoisomerase I")
    example = next((adc.id for adc in adcs().values() if adc.her2_targeted and adc.route == route), "")
    return f"{words} ({example})" if example else f"{words} (naked antibody, for contrast only)"


def _biomarker_sections(biomarker: Biomarker) -> list[Section]:
    limits = [
        "" if biomarker.baseline else "Acquired under therapy: never a baseline feature.",
        "" if biomarker.usable else "Not used by any model: its sign is unreliable.",
        f"Its directions hold only with {biomarker.conditional_on} in the model." if biomarker.conditional_on else "",
    ]
    about = _pairs(
        [
            ("Gene symbol", biomarker.symbol or "none"),
            ("Mechanism step", biomarker.mechanism_step.replace("_", " ")),
            ("Encoded state", biomarker.state_encoded),
            ("Evidence", biomarker.evidence_level.replace("_", " ")),
        ]
    )
    return [
        ("About", about + limits),
        ("Response on an ADC with more of the encoded state", _direction_lines(biomarker)),
        ("Columns of a cohort file", [_measure_line(m) for m in biomarker.measures]),
        ("Prevalence", [_prevalence_line(p) for p in biomarker.prevalence]),
        ("Effect", [biomarker.effect]),
        ("Conflicts", [biomarker.conflicts]),
        ("Note", [biomarker.note]),
        ("Sources", list(spelled_out(biomarker.citations))),
    ]


def _direction_lines(biomarker: Biomarker) -> list[str]:
    lines = []
    for route in get_args(Route):
        claim = biomarker.directions.get(route)
        if claim is None:
            lines.append(f"{route_label(route)}: unknown")
            continue
        support = "" if claim.support == "none" else f", {claim.support} support"
        lines.append(f"{route_label(route)}: {claim.direction}{support}. {claim.note}".rstrip(" ."))
    return lines


def _measure_line(measure: Measure) -> str:
    core = " (core)" if measure.core else ""
    if measure.levels:
        allowed = ", ".join(measure.levels)
    elif measure.kind == "binary":
        allowed = "1 or 0"
    else:
        allowed = f"{measure.minimum:g} to {measure.maximum:g} ({measure.unit})"
    names = f" Also called: {', '.join(measure.synonyms)}." if measure.synonyms else ""
    note = f" {measure.note}" if measure.note else ""
    return f"{measure.id}{core}: {measure.label}; {measure.assay}; {allowed}.{note}{names}"


def _prevalence_line(prevalence: Prevalence) -> str:
    share = "" if prevalence.fraction is None else f"{prevalence.fraction:.0%}"
    said = not share or share in prevalence.text
    return f"{prevalence.population}: {'' if said else f'{share}; '}{prevalence.text} ({prevalence.source})"


def _adc_sections(adc: Adc) -> list[Section]:
    def sure(field: str, text: str) -> str:
        return f"{text} (inferred or unverified)" if text and field in adc.unverified_fields else text

    def yes_no(value: bool | None) -> str:
        return "not known" if value is None else "yes" if value else "no"

    parts = _pairs(
        [
            ("Target", adc.target),
            ("Antibody", sure("antibody", adc.antibody)),
            ("Payload", f"{adc.payload}; class {adc.payload_class.replace('_', ' ')}"),
            ("Linker", sure("linker", adc.linker)),
            ("Cleavable", sure("cleavable", yes_no(adc.cleavable))),
            ("Drug-to-antibody ratio", sure("dar", adc.dar_text)),
            ("Bystander effect", sure("bystander", yes_no(adc.bystander))),
            ("Route", route_label(adc.route) if adc.route else "none of those with known directions"),
            ("Status", sure("status", adc.status)),
        ]
    )
    return [
        ("About", parts),
        ("Also called", [", ".join(adc.aliases)]),
        ("Trials", [", ".join(adc.trial_ids)]),
        ("Read from", [adc.verification]),
        ("Note", [adc.note]),
        ("Sources", list(spelled_out(adc.citations))),
    ]


def _trial_sections(result: TrialResult) -> list[Section]:
    patients = _pairs(
        [
            ("Regimen", result.regimen),
            ("ADC", result.adc),
            ("Comparator", result.comparator),
            ("Population", result.population),
            ("Subgroup", result.subgroup),
            ("HER2", result.her2_class.replace("_", " ")),
            ("Hormone receptors", result.hr_status),
            ("Setting", f"{result.setting}{f', line: {result.line}' if result.line else ''}"),
            ("Patients", _patients_text(result)),
        ]
    )
    trust = "may anchor the simulator" if result.calibrates else "never anchors the simulator"
    return [
        ("About", patients),
        ("Result", [result_text(result), *_pairs([("Comparison", result.comparison)])]),
        ("Verification", [f"{result.verification.replace('_', ' ')}; {trust}"]),
        ("Note", [result.note]),
        ("Sources", _trial_sources(result)),
    ]


def result_text(result: TrialResult) -> str:
    """Endpoint, value and interval of a trial result: "ORR 79.7% (74.3-84.4)"."""
    unit = {"percent": "%", "months": " months"}.get(result.unit, f" {result.unit}")
    if result.value is None:
        parts = [f"{part.subgroup} {part.value:g}{unit}" for part in result.parts]
        return f"{result.endpoint} {'; '.join(parts) or result.comparison}"
    interval = "" if result.low is None else f" ({result.low:g}-{'' if result.high is None else f'{result.high:g}'})"
    if result.unit == result.endpoint:
        unit = ""
    return f"{result.endpoint} {result.value:g}{unit}{interval}"


def _patients_text(result: TrialResult) -> str:
    count = "" if result.n is None else str(result.n)
    if result.events is not None:
        count = f"{result.events} of {count}"
    return ", ".join(text for text in (count, result.n_text) if text)


def _trial_sources(result: TrialResult) -> list[str]:
    sources = spelled_out(result.citations)
    shown = "" if any(result.url in source for source in sources) else result.url
    return [*sources, shown, result.seen_in and f"Seen in: {result.seen_in}"]
