"""Expression of a study folder: z-scores of the catalogue's genes, with the population they refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features import fault_rules as rules
from features.errors import InputError
from features.public.gene_expression import LARGEST_LOG2, ExpressionMatrix, read_matrix, z_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.cohort import Fault
    from features.public.study_folder import StudyFolder


def read_study_expression(study: StudyFolder, samples: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    """Read the expression measures of the catalogue from a study.

    A profile of expression values goes before one of z-scores, because the samples that ready-made z-scores refer to
    differ from profile to profile (all samples, or those without a gain of the gene).

    Parameters
    ----------
    study : StudyFolder
    samples : sequence of str
        Samples that were kept: the reference population, as far as it was profiled.

    Returns
    -------
    columns : dict of str to dict of str to str
        By measure and sample.
    notes : list of Fault
    """
    kind = next((k for k in ("expression", "expression_z") if k in study.files), None)
    if kind is None:
        return {}, []
    try:
        matrix = read_matrix(study.files[kind])
    except InputError as error:
        if "no row is a gene" not in error.what:
            raise
        return {}, [
            rules.EXPRESSION_UNREAD.fault(file=study.files[kind].name, why=f"{error.what} {error.mend}".rstrip("."))
        ]
    wanted = set(samples)
    places = {position: name for position, name in enumerate(matrix.samples) if name in wanted}
    if not places:
        return {}, [rules.EXPRESSION_UNREAD.fault(file=matrix.name, why="no column is a sample of the study")]
    linear = kind == "expression" and _is_linear(matrix, places)
    scores = z_scores(matrix, places, "linear" if linear else "log2", as_they_are=kind == "expression_z")
    table = scores.table
    columns = {str(m): {str(s): repr(float(v)) for s, v in table[m].dropna().items()} for m in table.columns}
    if not columns:
        return {}, []
    reference = "as the study gives them" if kind == "expression_z" else "over the samples that were kept"
    scaled = ", on log2(1 + x) of the linear values" if linear else ""
    return columns, [scores.note(matrix.name, reference + scaled)]


def _is_linear(matrix: ExpressionMatrix, places: dict[int, str]) -> bool:
    """Whether values are too large for a log scale, as RSEM and TPM are; a negative one is a logarithm."""
    values = np.concatenate([found[list(places)] for found in matrix.genes.values()])
    return bool(np.nanmax(values, initial=0.0) > LARGEST_LOG2 and np.nanmin(values, initial=0.0) >= 0.0)
