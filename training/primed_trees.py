"""The fitted literature-plus-cohort model as trees, with the catalogue's signs held or, where contradicted, given up.

A sign of the catalogue binds every part of the model: additive effects are fitted under it, bent ones are made
monotone, and the trees of prior and cohort are grown under it. Where the cohort speaks clearly against a sign, by a
likelihood that chance seldom gives, it is released for that column; the model says which, and its schema no longer
claims them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.special import expit

from features.biomarkers import biomarker_of
from features.feature_schema import FeatureSchema
from training.tree_text import Leaf, Split, binned_tree, trees_text, where

if TYPE_CHECKING:
    from training.metrics import Floats, Integers
    from training.primed import Effects, Primed

#: Log-posterior that giving up a sign must win: a likelihood ratio of 7, chance about 1 in 45 for one sign (one-sided).
RELEASE_GAIN = 2.0
#: A single column is released instead of its whole biomarker where it wins this share of the gain.
_SHARE_OF_ONE = 0.8
_STEPS = 30


@dataclass(frozen=True)
class PrimedTrees:
    """A primed model as trees.

    Attributes
    ----------
    effects : Effects
        Before they were made monotone.
    text : str
        LightGBM text of the additive effects, without intercept.
    additive : numpy.ndarray of shape (n_patients,)
        Their sum for the cohort's patients.
    weights : numpy.ndarray of shape (n_steps,)
        Of the parts of the prior trees, 0 or more.
    released : tuple of str
        Columns whose sign the cohort contradicts.
    schema : FeatureSchema
        With the signs that the model keeps.
    """

    effects: Effects
    text: str
    additive: Floats
    weights: Floats
    released: tuple[str, ...]
    schema: FeatureSchema


def primed_trees(primed: Primed, matrix: Floats) -> PrimedTrees:
    """Fit under the catalogue's signs, release those that the cohort contradicts, and write the effects as trees.

    Parameters
    ----------
    primed : Primed
    matrix : numpy.ndarray of shape (n_patients, n_columns)
        The patients that it was fitted to.

    Returns
    -------
    PrimedTrees
    """
    released: set[int] = set()
    effects = _release_terms(primed, released)
    shaped = _release_bends(primed, effects, matrix, released)
    if shaped:
        effects = _release_terms(primed, released)
    schema = _without_signs(primed.prior.schema, released)
    values = _term_values(primed, effects, schema)
    return PrimedTrees(
        effects=effects,
        text=trees_text(primed.prior.trees.text, _trees(primed, values)),
        additive=_sum(primed, values, matrix),
        weights=np.maximum(effects.weights, 0.0),
        released=tuple(schema.columns[j].name for j in sorted(released)),
        schema=schema,
    )


def _signs(primed: Primed, released: set[int]) -> Floats:
    columns = primed.prior.schema.columns
    return np.array(
        [
            0.0 if t.level is not None or t.column in released else float(columns[t.column].monotone)
            for t in primed.prior.terms
        ]
    )


def _release_terms(primed: Primed, released: set[int]) -> Effects:
    """Release biomarkers, the most contradicted first, until no release wins enough."""
    columns, terms = primed.prior.schema.columns, primed.prior.terms
    of_column = {
        j: np.array([i for i, t in enumerate(terms) if t.column == j]) for j, c in enumerate(columns) if c.monotone
    }
    while True:
        effects, gain = primed.constrained(_signs(primed, released))
        families: dict[str, list[int]] = {}
        for j in of_column:
            if j not in released:
                families.setdefault(biomarker_of()[columns[j].name].id, []).append(j)
        gains = {f: gain(np.concatenate([of_column[j] for j in js])) for f, js in families.items()}
        worst = max(gains, key=lambda f: gains[f], default=None)
        if worst is None or gains[worst] < RELEASE_GAIN:
            return effects
        alone = {j: gain(of_column[j]) for j in families[worst]}
        first = max(alone, key=lambda j: alone[j])
        released.update([first] if alone[first] >= _SHARE_OF_ONE * gains[worst] else families[worst])


def _release_bends(primed: Primed, effects: Effects, matrix: Floats, released: set[int]) -> bool:
    """Release columns whose bent effect explains the cohort much better than its monotone version."""
    free = _term_values(primed, effects, _without_signs(primed.prior.schema, set(range(matrix.shape[1]))))
    held = _term_values(primed, effects, _without_signs(primed.prior.schema, released))
    base = effects.intercept + primed.trees @ np.maximum(effects.weights, 0.0)
    sign = 2.0 * primed.outcome - 1.0
    full = base + _sum(primed, free, matrix)

    def log_likelihood(log_odds: Floats) -> float:
        return float(-np.logaddexp(0.0, -sign * log_odds).sum())

    best, found = log_likelihood(full), False
    for j in sorted({t.column for t in primed.prior.terms}):
        changed = [
            i for i, t in enumerate(primed.prior.terms) if t.column == j and not np.array_equal(free[i], held[i])
        ]
        if not changed:
            continue
        without = _sum(primed, free, matrix, changed) - _sum(primed, held, matrix, changed)
        if best - log_likelihood(full - without) >= RELEASE_GAIN:
            released.add(j)
            found = True
    return found


def _without_signs(schema: FeatureSchema, released: set[int]) -> FeatureSchema:
    return FeatureSchema(
        tuple(
            msgspec.structs.replace(c, monotone=0) if j in released and c.monotone else c
            for j, c in enumerate(schema.columns)
        )
    )


def _term_values(primed: Primed, effects: Effects, schema: FeatureSchema) -> list[Floats]:
    """Return what each term adds, per bin: line and bend, monotone where the schema says so; per level one number."""
    from sklearn.isotonic import isotonic_regression

    cohort = primed.cohort
    bend_at, start = {}, 0
    for j, shape in cohort.shapes.items():
        bend_at[j] = shape @ effects.bends[start : start + shape.shape[1]]
        start += shape.shape[1]
    values = []
    for term, effect in zip(primed.prior.terms, effects.terms, strict=True):
        bins = cohort.bins.get(term.column)
        if term.level is not None or bins is None:
            values.append(np.array([effect]))
            continue
        added = effect * bins.scores + bend_at.get(term.column, 0.0)
        sign = schema.columns[term.column].monotone
        if sign:
            added = isotonic_regression(added, sample_weight=bins.counts, increasing=sign > 0)
        values.append(np.asarray(added, dtype=np.float64))
    return values


def _sum(primed: Primed, values: list[Floats], matrix: Floats, some: list[int] | None = None) -> Floats:
    """Sum of all terms, or of some, for patients."""
    prior, route = primed.prior, primed.prior.route_of(matrix)
    total = np.zeros(len(matrix))
    for i in range(len(values)) if some is None else some:
        term, column = prior.terms[i], matrix[:, prior.terms[i].column]
        if term.level is not None:
            added = np.where(column == term.level, values[i][0], 0.0)
        elif term.column in primed.cohort.bins:
            added = np.append(values[i], 0.0)[primed.cohort.bins[term.column].place(column)]
        else:
            continue
        total += added if term.route is None else added * (route == term.route)
    return total


def _trees(primed: Primed, values: list[Floats]) -> list[Split | Leaf]:
    cohort, found = primed.cohort, []
    for term, added in zip(primed.prior.terms, values, strict=True):
        patients = cohort.patients if term.route is None else int(cohort.route_counts[term.route])
        share = patients / max(cohort.patients, 1)
        bins = cohort.bins.get(term.column)
        tree: Split | Leaf
        if term.level is not None:
            # How many patients have a level matters to SHAP's base value only; an even split is near enough.
            levels = len(primed.prior.schema.columns[term.column].levels)
            of_level = round(patients / levels)
            tree = Split(term.column, Leaf(float(added[0]), of_level), Leaf(0.0, patients - of_level), level=term.level)
        elif bins is not None and np.any(added != 0):
            missing = Leaf(0.0, round(bins.missing * share))
            tree = binned_tree(term.column, bins.edges, added, np.round(bins.counts * share).astype(int), missing)
        else:
            continue
        conditions = primed.prior.routes[term.route] if term.route is not None else ()
        found.append(where(conditions, tree, cohort.patients - patients))
    # A model needs a tree even where nothing was learned.
    return found or [Split(0, Leaf(0.0, cohort.patients), Leaf(0.0, 1))]


def matched_intercept(log_odds: Floats, outcome: Integers) -> float:
    """Find the number to add so that the mean probability is the observed response rate.

    Parameters
    ----------
    log_odds : numpy.ndarray of shape (n_patients,)
    outcome : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    float
    """
    intercept = 0.0
    for _ in range(_STEPS):
        p = expit(log_odds + intercept)
        step = float(np.clip(np.sum(outcome - p) / np.sum(p * (1 - p)), -2, 2))
        intercept += step
        if abs(step) < 1e-10:
            break
    return intercept
