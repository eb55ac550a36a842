"""Expression of a study folder: z-scores of the catalogue's genes, with the population they refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        Every sample of the study: the reference population, as far as it was profiled.

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
        return {}, []
    wanted = set(samples)
    places = {position: name for position, name in enumerate(matrix.samples) if name in wanted}
    if not places:
        return {}, []
    table = z_scores(matrix, places, "linear" if _is_linear(matrix) else "log2", as_they_are=kind == "expression_z")
    columns = {str(m): {str(s): repr(float(v)) for s, v in table[m].dropna().items()} for m in table.columns}
    if not columns:
        return {}, []
    reference = "as the study gives them" if kind == "expression_z" else "over all samples of the study"
    scaled = ", on log2(1 + x) of the linear values" if kind == "expression" and _is_linear(matrix) else ""
    note = rules.EXPRESSION_READ.fault(
        number=len(columns), file=matrix.name, patients=len(table), reference=reference + scaled
    )
    return columns, [note]


def _is_linear(matrix: ExpressionMatrix) -> bool:
    """Whether values are too large for a log scale, as RSEM and TPM are."""
    return any(bool((values > LARGEST_LOG2).any()) for values in matrix.genes.values())
