"""The catalogue in print: tables of biomarkers, ADCs and trial results, as text, JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import io
import json
import shutil
import textwrap
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from features.adcs import Adc, adcs
from features.biomarkers import Biomarker, Direction, Route, biomarkers
from features.catalogue_lookup import Record, find_records, kind_of
from features.catalogue_record import record_lines, result_text
from features.errors import InputError
from features.trials import TrialResult, trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.biomarkers import Measure

OutputFormat = Literal["text", "json", "csv", "markdown"]
_FORMATS = get_args(OutputFormat)
_WIDTHS = (80, 120)

#: One sign per direction, so that every route fits a line.
SIGNS: dict[Direction, str] = {
    Direction.INCREASE: "+",
    Direction.DECREASE: "-",
    Direction.NONE: "0",
    Direction.UNKNOWN: "?",
    Direction.CONFLICTING: "+/-",
}
#: The routes a table shows, each under the ADC that stands for it.
_ROUTE_HEADINGS: dict[Route, str] = {
    "maytansinoid_noncleavable": "T-DM1",
    "auristatin_noncleavable": "ARX788",
    "auristatin_cleavable": "RC48",
    "topoisomerase1_cleavable": "T-DXd",
}
_LEGENDS = {
    "biomarker": (
        "More of the encoded state: + more response, - less, 0 no effect, ? unknown,\n"
        "+/- conflicting. Under each its columns: * core. (a) acquired under therapy,\n"
        "(x) used by no model. 'adcr catalogue show NAME' tells the rest, with sources."
    ),
    "adc": "(u) inferred or unverified.\n'adcr catalogue show NAME' tells the rest, with sources.",
    "trial": "* may anchor the simulator.\n'adcr catalogue show TR001' tells the rest, with sources.",
}


def render_table(kind: str, *, output_format: str = "text") -> str:
    """Print one part of the catalogue.

    Parameters
    ----------
    kind : str
        "biomarkers", "adcs" or "trials".
    output_format : str
        "text" (readable at 80 columns), "json" (every field), "csv" or "markdown".

    Returns
    -------
    str
        Without a line end at the end.

    Raises
    ------
    InputError
        There is no such part or format.
    """
    parts: dict[str, Sequence[Record]] = {
        "biomarkers": tuple(biomarkers().values()),
        "adcs": tuple(adcs().values()),
        "trials": tuple(trials().values()),
    }
    if kind not in parts:
        raise InputError(f"the catalogue has no part '{kind}'.", mend="Use biomarkers, adcs or trials.")
    return _render(parts[kind], output_format)


def render_record(identifier: str, output_format: str = "text") -> str:
    """Print all that the catalogue knows under one name.

    Parameters
    ----------
    identifier : str
        Id or gene symbol of a biomarker, id or synonym of a column, any name of an ADC, id of a trial result or name
        of a trial. A name of several records (ERBB2, EMILIA) prints their table.
    output_format : str
        As for `render_table`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        Nothing has that name (the nearest names are told), or there is no such format.
    """
    records = find_records(identifier)
    if len(records) > 1 or output_format == "csv":
        return _render(records, output_format)
    if output_format == "json":
        return _to_json(_complete(records[0]))
    _check(output_format)
    return "\n".join(record_lines(records[0], width=_width(), markdown=output_format == "markdown"))


def _render(records: Sequence[Record], output_format: str) -> str:
    _check(output_format)
    if output_format == "json":
        return _to_json([_complete(record) for record in records])
    if output_format == "csv":
        rows = [row for record in records for row in _flat(record)]
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().rstrip("\n")
    if output_format == "markdown":
        headings = _HEADINGS[kind_of(records[0])]
        lines = [headings, ["---"] * len(headings), *map(_cells, records)]
        return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    return f"{_text_table(records)}\n\n{_LEGENDS[kind_of(records[0])]}"


def _check(output_format: str) -> None:
    if output_format not in _FORMATS:
        raise InputError(f"there is no format '{output_format}'.", mend=f"Use {', '.join(_FORMATS)}.")


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _complete(record: Record) -> dict[str, object]:
    fields: dict[str, object] = {"kind": kind_of(record), **msgspec.to_builtins(record)}
    if isinstance(record, Adc):
        fields["route"] = record.route
    return fields


def _width() -> int:
    return min(max(shutil.get_terminal_size((_WIDTHS[0], 24)).columns, _WIDTHS[0]), _WIDTHS[1])


def _text_table(records: Sequence[Record]) -> str:
    """Two lines per record: aligned cells, then what does not fit a column, indented and wrapped."""
    headings = _TEXT_HEADINGS[kind_of(records[0])]
    entries = [_text_entry(record) for record in records]
    widths = [
        max(len(line[at]) for line in (headings, *(cells for cells, _ in entries))) for at in range(len(headings))
    ]
    lines = [_aligned(headings, widths)]
    for cells, detail in entries:
        lines.append(_aligned(cells, widths))
        lines += textwrap.wrap(
            detail,
            _width(),
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


_TEXT_HEADINGS = {
    "biomarker": ["biomarker", "step", *_ROUTE_HEADINGS.values()],
    "adc": ["id", "payload class", "cleavable", "DAR", "bystander"],
    "trial": ["id", "trial", "result"],
}


def _text_entry(record: Record) -> tuple[list[str], str]:
    cells = _cells(record)
    if isinstance(record, Biomarker):
        name, columns, *rest = cells
        return [name, *rest], columns
    if isinstance(record, TrialResult):
        number, trial, regimen, patients, result, n, verification = cells
        detail = f"{regimen}; {patients}; n {n}; {verification}"
        if record.value is None:
            return [number, trial, record.endpoint], f"{result}; {detail}"
        return [number, trial, result], detail
    adc_id, name, payload_class, cleavable, _, bystander, target, status = cells
    doubt = " (u)" if "dar" in record.unverified_fields else ""
    dar = "?" if record.dar is None else f"{record.dar:g}{doubt}"
    detail = "; ".join(dict.fromkeys((name, target, status)))
    return [adc_id, payload_class, cleavable, dar, bystander], detail


_HEADINGS = {
    "biomarker": ["biomarker", "columns", "step", *_ROUTE_HEADINGS.values()],
    "adc": ["id", "name", "payload class", "cleavable", "DAR", "bystander", "target", "status"],
    "trial": ["id", "trial", "regimen", "patients", "result", "n", "verification"],
}


def _cells(record: Record) -> list[str]:
    if isinstance(record, Biomarker):
        return _biomarker_cells(record)
    if isinstance(record, TrialResult):
        return _trial_cells(record)
    return _adc_cells(record)


def _biomarker_cells(biomarker: Biomarker) -> list[str]:
    mark = f"{'' if biomarker.baseline else ' (a)'}{'' if biomarker.usable else ' (x)'}"
    columns = ", ".join(f"{m.id}{'*' if m.core else ''}" for m in biomarker.measures)
    signs = [SIGNS[direction_on(biomarker, route)] for route in _ROUTE_HEADINGS]
    return [biomarker.id + mark, columns, biomarker.mechanism_step.replace("_", " "), *signs]


def direction_on(biomarker: Biomarker, route: Route) -> Direction:
    """Direction of a biomarker on a route; unknown where the catalogue lists none."""
    claim = biomarker.directions.get(route)
    return Direction.UNKNOWN if claim is None else claim.direction


def _yes_no(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def _adc_cells(adc: Adc) -> list[str]:
    values = {"cleavable": _yes_no(adc.cleavable), "dar": adc.dar_text, "bystander": _yes_no(adc.bystander)}
    doubted = {k: f"{v} (u)" if k in adc.unverified_fields and v != "?" else v for k, v in values.items()}
    return [adc.id, adc.name, adc.payload_class.replace("_", " "), *doubted.values(), adc.target, adc.status]


def _trial_cells(result: TrialResult) -> list[str]:
    patients = result.subgroup or result.population
    mark = "*" if result.calibrates else ""
    return [
        result.id,
        result.trial,
        result.regimen or "-",
        patients,
        result_text(result),
        "?" if result.n is None else str(result.n),
        f"{result.verification.replace('_', ' ')}{mark}",
    ]


def _flat(record: Record) -> list[dict[str, object]]:
    # One row per column of a biomarker, so that the table joins to a cohort file.
    if isinstance(record, Biomarker):
        return [_measure_row(record, measure) for measure in record.measures]
    row: dict[str, object] = {}
    for name, value in _complete(record).items():
        if name == "kind":
            continue
        row[name] = "; ".join(map(_flat_item, value)) if isinstance(value, list | tuple) else value
    return [row]


def _flat_item(item: object) -> str:
    if isinstance(item, dict):
        return " ".join(str(value) for value in item.values() if value not in (None, ""))
    return str(item)


def _measure_row(biomarker: Biomarker, measure: Measure) -> dict[str, object]:
    return {
        "column": measure.id,
        "label": measure.label,
        "biomarker": biomarker.id,
        "symbol": biomarker.symbol,
        "mechanism_step": biomarker.mechanism_step,
        "assay": measure.assay,
        "unit": measure.unit,
        "kind": measure.kind,
        "minimum": measure.minimum,
        "maximum": measure.maximum,
        "levels": "; ".join(measure.levels),
        "core": measure.core,
        "state_encoded": biomarker.state_encoded,
        "toward_state": measure.toward_state,
        "baseline": biomarker.baseline,
        "usable": biomarker.usable,
        "evidence_level": biomarker.evidence_level,
        **{f"direction_{route}": str(direction_on(biomarker, route)) for route in get_args(Route)},
        "names": "; ".join(measure.synonyms),
        "sources": "; ".join(citation.source for citation in biomarker.citations),
    }
