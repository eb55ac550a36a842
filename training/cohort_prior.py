"""What the literature says about one cohort: its columns, its ADCs and its endpoint, and nothing else.

Two parts, both from the simulated worlds. Trees hold what the worlds agree on: the mean log-odds of response given the
columns that this cohort measures. A normal distribution over additive effects holds what they do not agree on: how much
each column's effect, on each payload, departs from the trees from world to world. A cohort moves uncertain effects
easily and well-known ones hardly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from features.adcs import adcs
from features.feature_table import encode
from training.column_scores import ColumnScale, column_scale, level_scores
from training.one_thread import linear_algebra_on_one_thread
from training.prior_terms import Routes, Term, directions_of, routes_of, terms_of
from training.prior_trees import PriorTrees, split_by_step, steps_of
from training.small_boosters import safe_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.feature_schema import FeatureSchema
    from training.metrics import Floats, Integers
    from training.prior_worlds import Evidence

#: Trees of the prior. Small, since they are part of every model; more rounds gain less than 0.001 of log loss.
TREE_ROUNDS = 150
_TREE_SETTINGS = {
    "objective": "cross_entropy",
    "num_leaves": 8,
    "max_depth": 6,
    "learning_rate": 0.1,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    "seed": 1,
}
#: A column is scored by the simulated patients where that many of them have a value, else by the cohort.
_FEWEST_SIMULATED = 200
#: Ridge of the regression that reads a world's additive effects; far below the information of thousands of patients.
_RIDGE = 5.0


@dataclass(frozen=True)
class CohortPrior:
    """The literature's expectation for a cohort.

    Attributes
    ----------
    schema : FeatureSchema
    trees : PriorTrees
        Mean log-odds of response over the worlds; monotone as the schema says.
    scales : tuple of (ColumnScale or None)
        Per column; None where the simulator does not know it, so that the cohort itself must scale it.
    routes : tuple of tuple of (int, float)
        Per route of the cohort's ADCs the columns that single it out, with their value (0 or 1); one empty tuple
        where all patients share a route.
    terms : tuple of Term
    mean, covariance : numpy.ndarray of shape (n_terms,), (n_terms, n_terms)
        Additive effects beside the trees, over the worlds, per unit of score.
    direction : numpy.ndarray of shape (n_terms,)
        Sign that the catalogue gives, divided by the root of the number of the biomarker's measures; 0 where none.
    sharing : numpy.ndarray of shape (n_terms,)
        Number of measures of the same biomarker.
    source : str
        ADCs whose simulated patients it was made from, in words.
    key : str
        Of the prior that it was read from.
    """

    schema: FeatureSchema
    trees: PriorTrees
    scales: tuple[ColumnScale | None, ...]
    routes: Routes
    terms: tuple[Term, ...]
    mean: Floats
    covariance: Floats
    direction: Floats
    sharing: Floats
    source: str
    key: str = ""

    def route_of(self, matrix: Floats) -> Integers:
        """Route of each patient by position in `routes`; -1 where none fits (an ADC that the prior has not met).

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        found = np.full(len(matrix), -1)
        for position, conditions in enumerate(self.routes):
            fits = np.ones(len(matrix), dtype=bool)
            for column, value in conditions:
                fits &= matrix[:, column] == value
            found[fits] = position
        return found


def make_cohort_prior(evidence: Evidence, schema: FeatureSchema, adc_ids: Iterable[str], endpoint: str) -> CohortPrior:
    """Read the worlds with a cohort's eyes: its columns, its ADCs, its endpoint.

    Nothing of the cohort's outcomes enters.

    Parameters
    ----------
    evidence : Evidence
    schema : FeatureSchema
        The cohort's columns.
    adc_ids : iterable of str
        Short names of the ADCs that its patients received.
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    CohortPrior
    """
    with linear_algebra_on_one_thread():
        return _make(evidence, schema, sorted(set(adc_ids)), endpoint)


def _make(evidence: Evidence, schema: FeatureSchema, received: list[str], endpoint: str) -> CohortPrior:
    rows, source = _like_the_cohort(evidence, received, endpoint)
    matrix = encode(evidence.patients.iloc[rows], schema).to_numpy()
    probability = expit(evidence.log_odds[rows].astype(np.float64))
    scales = tuple(_scale(schema, matrix, j) for j in range(len(schema.columns)))
    routes, route_names = routes_of(schema, received)
    terms = terms_of(schema, routes)
    trees = _mean_trees(matrix, probability.mean(axis=1), schema)
    tree_log_odds = trees.parts(matrix).sum(axis=1)
    direction, sharing = directions_of(schema, terms, route_names)
    blank = CohortPrior(
        schema=schema,
        trees=trees,
        scales=scales,
        routes=routes,
        terms=terms,
        mean=np.zeros(len(terms)),
        covariance=np.zeros((len(terms), len(terms))),
        direction=direction,
        sharing=sharing,
        source=source,
    )
    mean, covariance = _additive_effects(term_scores(blank, matrix), tree_log_odds, probability)
    return CohortPrior(**{**vars(blank), "mean": mean, "covariance": covariance})


def term_scores(prior: CohortPrior, matrix: Floats) -> Floats:
    """Scores of the terms, unbinned; 0 where the value is missing, of another route, or without a scale.

    Parameters
    ----------
    prior : CohortPrior
    matrix : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    numpy.ndarray of shape (n_patients, n_terms)
    """
    route = prior.route_of(matrix)
    scores = np.zeros((len(matrix), len(prior.terms)))
    for position, term in enumerate(prior.terms):
        values, scale = matrix[:, term.column], prior.scales[term.column]
        if term.level is not None:
            of_term = level_scores(prior.schema.columns[term.column], term.level, values)
        elif scale is not None:
            of_term = np.nan_to_num(scale.score(values))
        else:
            continue
        scores[:, position] = of_term if term.route is None else of_term * (route == term.route)
    return scores


def _like_the_cohort(evidence: Evidence, received: list[str], endpoint: str) -> tuple[Integers, str]:
    """Find simulated patients of the cohort's ADCs, or of ADCs of the same route, or of any."""
    of_endpoint = evidence.patients["endpoint"].to_numpy() == endpoint
    adc = evidence.patients["adc"].to_numpy(dtype=object)
    simulated = sorted(set(adc[of_endpoint]))
    routes = {adcs()[a].route for a in received if a in adcs()}
    same_route = [a for a in simulated if adcs()[a].route in routes]
    own = [a for a in received if a in simulated]
    chosen = own or same_route or simulated
    how = "" if own else " (of the same payload and linker)" if same_route else " (no ADC of the cohort is simulated)"
    return np.flatnonzero(of_endpoint & np.isin(adc, chosen)), ", ".join(chosen) + how


def _scale(schema: FeatureSchema, matrix: Floats, position: int) -> ColumnScale | None:
    values = matrix[:, position]
    if schema.columns[position].kind == "categorical" or np.isfinite(values).sum() < _FEWEST_SIMULATED:
        return None
    return column_scale(values)


def _mean_trees(matrix: Floats, probability: Floats, schema: FeatureSchema) -> PriorTrees:
    import lightgbm

    signs = [c.monotone for c in schema.columns]
    monotone = {"monotone_constraints": signs, "monotone_constraints_method": "basic"} if any(signs) else {}
    treatment, *steps = steps_of(schema).values()
    settings = {**_TREE_SETTINGS, **monotone}
    if steps:
        settings["interaction_constraints"] = [step + treatment for step in steps]
    data = lightgbm.Dataset(
        matrix,
        probability,
        feature_name=safe_names(schema.columns),
        categorical_feature=[j for j, c in enumerate(schema.columns) if c.kind == "categorical"],
        params=settings,
    )
    return split_by_step(lightgbm.train(settings, data, num_boost_round=TREE_ROUNDS), schema)


def _additive_effects(scores: Floats, tree_log_odds: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance over the worlds of one Newton step from the trees towards each world."""
    p = expit(tree_log_odds)
    design = np.column_stack([np.ones(len(scores)), scores])
    ridge = np.full(design.shape[1], _RIDGE)
    ridge[0] = 1e-6
    information = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge)
    effects = cho_solve(cho_factor(information), design.T @ (probability - p[:, None]))[1:]
    return effects.mean(axis=1), np.atleast_2d(np.cov(effects))
