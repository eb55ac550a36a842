"""The calibration report: every published result beside the simulated one, on one page that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from features.synthetic.anchor_check import AnchorCheck, check_anchors
from features.synthetic.findings import key_findings, published_shares
from features.synthetic.fitted_parameters import fitted_parameters
from features.synthetic.parameters import COMPARATOR_ROUTE, constants, effects, modelled_adcs
from features.synthetic.real_marginals import MarginalCheck, compare_marginals
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Width of a plot in pixels, and the months at its right edge.
_WIDTH, _MOST_MONTHS = 240.0, 40.0


class _Row(TypedDict):
    result: str
    arm: str
    subgroup: str
    n: int
    published: str
    interval: str
    simulated: str
    inside: bool
    role: str
    css: str
    worlds_inside: str
    note: str
    x_low: float
    x_high: float
    x_value: float
    x_sim_low: float
    x_sim_high: float
    x_sim: float


def write_calibration_report(
    path: str | Path,
    *,
    cohorts: Path | None = None,
    worlds: int = 40,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[AnchorCheck, ...]:
    """Write the calibration report.

    Parameters
    ----------
    path : str or Path
        HTML file to write.
    cohorts : Path, optional
        Folder of real cohorts whose biomarker shares are compared (see `compare_marginals`).
    worlds : int, default 40
        Worlds drawn for the simulated intervals.
    progress : callable, optional
        Called with the worlds done and the number of worlds.

    Returns
    -------
    tuple of AnchorCheck
        What the report shows.

    Raises
    ------
    OutputError
        The file cannot be written; no part of it is left.
    """
    checks = check_anchors(worlds, progress)
    marginals = compare_marginals(cohorts) if cohorts is not None else ()
    write_whole(Path(path), render_calibration_report(checks, marginals, worlds))
    return checks


def render_calibration_report(
    checks: tuple[AnchorCheck, ...], marginals: tuple[MarginalCheck, ...], worlds: int
) -> str:
    """HTML of the calibration report."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("features.synthetic", "templates"), autoescape=True, undefined=StrictUndefined
    )
    rows = [(_row(check), check) for check in checks]
    routes = [*dict.fromkeys(a.route for a in modelled_adcs().values()), COMPARATOR_ROUTE]
    return environment.get_template("calibration_report.html.j2").render(
        summary=calibration_summary(checks),
        worlds=worlds,
        responses=[row for row, check in rows if check.anchor.quantity == "response"],
        medians=[row for row, check in rows if check.anchor.quantity == "median_pfs"],
        failures=[row for row, check in rows if not check.inside],
        findings=key_findings(),
        shares=published_shares(),
        marginals=[_marginal_row(m) for m in marginals],
        routes=routes,
        effects=[
            {
                "step": e.step.replace("_", " "),
                "measure": e.measure,
                "scale": e.scale.replace("_", " "),
                "evidence": e.evidence.replace("_", " "),
                "cells": [_cell(e.cells.get(route, "?")) for route in routes],
                "source": e.source,
            }
            for e in effects().values()
        ],
        fitted=_fitted_rows(),
    )


def calibration_summary(checks: tuple[AnchorCheck, ...]) -> str:
    """One paragraph: how many results lie within the published interval, fitted and held out."""
    parts = []
    for quantity, label in (("response", "response rates"), ("median_pfs", "median progression-free times")):
        for role in ("fitted", "held_out"):
            own = [c for c in checks if c.anchor.quantity == quantity and c.anchor.role == role]
            inside = sum(c.inside for c in own)
            parts.append(f"{inside} of {len(own)} {role.replace('_', '-')} {label}")
    return f"Within the published 95% interval: {', '.join(parts)}."


def _row(check: AnchorCheck) -> _Row:
    anchor, target = check.anchor, check.published
    response = anchor.quantity == "response"
    factor, digits = (100.0, 1) if response else (1.0, 1)
    scale = _WIDTH if response else _WIDTH / _MOST_MONTHS
    held = anchor.role == "held_out"

    def text(value: float, low: float, high: float) -> str:
        return f"{value * factor:.{digits}f} ({low * factor:.{digits}f}-{high * factor:.{digits}f})"

    def x(value: float) -> float:
        return round(float(np.clip(value * scale, 0.0, _WIDTH)), 1)

    return _Row(
        result=anchor.result,
        arm=anchor.arm,
        subgroup=anchor.subgroup.describe(),
        n=target.n,
        published=text(target.value, target.low, target.high),
        interval=target.interval,
        simulated=text(check.simulated, check.low, check.high),
        inside=check.inside,
        role="held out" if held else "fitted",
        css="held" if held else "simulated",
        worlds_inside=f"{check.worlds_inside:.0%}",
        note=anchor.note,
        x_low=x(target.low),
        x_high=x(target.high),
        x_value=x(target.value),
        x_sim_low=x(check.low),
        x_sim_high=x(check.high),
        x_sim=x(check.simulated),
    )


def _marginal_row(check: MarginalCheck) -> Mapping[str, object]:
    digits, unit = (1, "%") if check.unit == "share" else (2, f" {check.unit}")
    factor = 100.0 if check.unit == "share" else 1.0
    widest = 1.0 if check.unit == "share" else 1.6

    def x(value: float) -> float:
        return round(float(np.clip(value / widest * _WIDTH, 0.0, _WIDTH)), 1)

    return {
        "cohort": check.cohort,
        "quantity": check.quantity,
        "n": check.n,
        "real": f"{check.real * factor:.{digits}f}{unit} "
        f"({check.low * factor:.{digits}f}-{check.high * factor:.{digits}f})",
        "simulated": f"{check.simulated * factor:.{digits}f}{unit}",
        "css": "simulated" if check.inside else "held",
        "x_low": x(check.low),
        "x_high": x(check.high),
        "x_real": x(check.real),
        "x_sim": x(check.simulated),
    }


def _cell(value: float | str) -> str:
    return "?" if isinstance(value, str) else f"{value:+.2f}" if value else "0"


def _fitted_rows() -> list[dict[str, str]]:
    fitted = fitted_parameters()
    rows = [
        {"what": f"constant {c.id}", "start": f"{constants()[c.id].value:.3f}", "value": f"{c.value:.3f}"}
        for c in fitted.constant
    ]
    rows += [{"what": f"factor on effect {e.id}", "start": "1.000", "value": f"{e.factor:.3f}"} for e in fitted.effect]
    rows += [
        {
            "what": f"offset {r.regimen}, {r.endpoint.replace('_', ' ')} (log-odds)",
            "start": "",
            "value": f"{r.offset:+.3f}",
        }
        for r in fitted.regimen
    ]
    rows += [
        {"what": f"remainder {a.arm} (log-odds)", "start": "0.000", "value": f"{a.residual:+.3f}"}
        for a in fitted.arm
        if a.residual
    ]
    return rows
