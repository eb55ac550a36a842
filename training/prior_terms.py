"""The additive effects of a cohort: one per column, and one per payload route for what the payload can change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.adcs import adcs
from features.biomarkers import Direction, biomarker_of, measures
from features.feature_table import PAYLOAD_PREFIX, encode

if TYPE_CHECKING:
    from features.biomarkers import Route
    from features.feature_schema import FeatureSchema
    from training.metrics import Floats

#: Per route the columns that single it out, with their value.
Routes = tuple[tuple[tuple[int, float], ...], ...]
#: Beside its payload, what tells the route of an ADC.
_LINKER_COLUMN = "adc_linker_cleavable"


@dataclass(frozen=True)
class Term:
    """One additive effect: a column (and a level of it, where it is a category) among the patients of a route.

    `level` and `route` are None for a numeric column, and for all patients.
    """

    column: int
    level: int | None
    route: int | None


def routes_of(schema: FeatureSchema, received: list[str]) -> tuple[Routes, list[Route | None]]:
    """Payload classes of the cohort, split by linker where that differs; with the catalogue's route of each.

    Parameters
    ----------
    schema : FeatureSchema
    received : list of str
        Short names of the cohort's ADCs.

    Returns
    -------
    Routes
        One without conditions where all patients share a route.
    list of (str or None)
        The catalogue's route of each; None where no ADC is known.
    """
    known = [a for a in received if a in adcs()]
    columns = [j for j, c in enumerate(schema.columns) if c.name.startswith(PAYLOAD_PREFIX) or c.name == _LINKER_COLUMN]
    if not columns or not known:
        return ((),), [adcs()[known[0]].route if known else None]
    values = encode(pd.DataFrame({"adc": known}), schema).to_numpy()[:, columns]
    found: dict[tuple[tuple[int, float], ...], Route | None] = {}
    for adc_id, row in zip(known, values, strict=True):
        conditions = _singled_out(columns, row, values)
        found.setdefault(conditions, adcs()[adc_id].route)
    return tuple(found), list(found.values())


def _singled_out(columns: list[int], row: Floats, every: Floats) -> tuple[tuple[int, float], ...]:
    """Fewest columns, in order, whose values no ADC of another route shares."""
    rest = every[~np.all((every == row) | (np.isnan(every) & np.isnan(row)), axis=1)]
    conditions: list[tuple[int, float]] = []
    # Payload columns that are 1 come first: alone they single out most routes.
    for j in np.argsort(-np.nan_to_num(row, nan=-1.0), kind="stable"):
        if not len(rest):
            break
        differs = rest[:, j] != row[j]
        if np.isfinite(row[j]) and differs.any():
            conditions.append((columns[j], float(row[j])))
            rest = rest[~differs]
    return tuple(conditions)


def terms_of(schema: FeatureSchema, routes: Routes) -> tuple[Term, ...]:
    """Per column one effect, and one per route for what the payload can change.

    Parameters
    ----------
    schema : FeatureSchema
    routes : Routes

    Returns
    -------
    tuple of Term
    """
    terms = []
    for j, column in enumerate(schema.columns):
        by_route = len(routes) > 1 and column.source in ("biomarker", "extra")
        levels = range(len(column.levels)) if column.kind == "categorical" else (None,)
        terms += [Term(j, level, route) for level in levels for route in (range(len(routes)) if by_route else (None,))]
    return tuple(terms)


def directions_of(schema: FeatureSchema, terms: tuple[Term, ...], routes: list[Route | None]) -> tuple[Floats, Floats]:
    """Signs of the catalogue for each term, shared among the measures of a biomarker.

    Parameters
    ----------
    schema : FeatureSchema
    terms : tuple of Term
    routes : list of (str or None)
        The catalogue's name of each route.

    Returns
    -------
    direction : numpy.ndarray of shape (n_terms,)
        Sign, divided by the root of the number of the biomarker's measures; 0 where none.
    sharing : numpy.ndarray of shape (n_terms,)
        Number of measures of the same biomarker.
    """
    of_biomarker = [
        (biomarker_of()[schema.columns[t.column].name].id, t.route)
        if schema.columns[t.column].source == "biomarker"
        else None
        for t in terms
    ]
    counts = Counter(of_biomarker)
    sharing = np.array([1.0 if b is None else float(counts[b]) for b in of_biomarker])
    signs = np.array([_sign(schema, t, routes[t.route or 0]) for t in terms])
    return signs / np.sqrt(sharing), sharing


def _sign(schema: FeatureSchema, term: Term, route: Route | None) -> float:
    column = schema.columns[term.column]
    if column.source != "biomarker" or term.level is not None or route is None:
        return 0.0
    biomarker, measure = biomarker_of()[column.name], measures()[column.name]
    claim = biomarker.directions.get(route)
    if claim is None or not (biomarker.baseline and biomarker.usable) or biomarker.conditional_on:
        return 0.0
    sign = {Direction.INCREASE: 1.0, Direction.DECREASE: -1.0}.get(claim.direction, 0.0)
    return sign * measure.toward_state
