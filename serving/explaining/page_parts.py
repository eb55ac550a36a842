"""What the pages of a cohort and of a patient share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Document, Paragraph
from training.explaining.stability import RefitFindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from features.report.document import Block, Section
    from serving.explaining.explained_cohort import ExplainedCohort
    from training.explaining.stability import Stability

SCHEMA_VERSION = 1
USE = (
    "Research use only; never a treatment recommendation. Contributions tell what the model does with a value, not "
    "what the value does to a tumour."
)
ENDPOINTS = {"pcr": "pathological complete response (pCR)", "objective_response": "objective response (RECIST 1.1)"}


def document(
    explained: ExplainedCohort, title: str, subtitle: str, headline: Iterable[tuple[str, str]], parts: Iterable[Section]
) -> Document:
    """Put a page together, with what of it is simulated on top.

    Parameters
    ----------
    explained : ExplainedCohort
    title, subtitle : str
    headline : iterable of (str, str)
    parts : iterable of Section

    Returns
    -------
    Document
    """
    banner = (
        f"{explained.origin.upper()}: no number here says anything about real patients." if explained.origin else ""
    )
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="explanation",
        title=title,
        subtitle=subtitle,
        banner=banner,
        use=USE,
        headline=tuple(headline),
        sections=tuple(parts),
    )


def model_line(explained: ExplainedCohort) -> str:
    """Name the model, what it predicts and what it learned from.

    Parameters
    ----------
    explained : ExplainedCohort

    Returns
    -------
    str
    """
    record = explained.record
    return (
        f"Model {record.model_name} {record.model_version}: {ENDPOINTS[record.endpoint]}, learned from "
        f"{record.cohort.patients:,} patients of {record.cohort.name}"
    )


def stability(explained: ExplainedCohort) -> dict[str, Stability]:
    """Tell how stable each column was over the refits of the training, by name.

    Parameters
    ----------
    explained : ExplainedCohort

    Returns
    -------
    dict of str to Stability
        Empty where the model does not tell.
    """
    found = explained.record.refits
    return {c.name: c for c in found.columns} if isinstance(found, RefitFindings) else {}


def stability_told(explained: ExplainedCohort) -> Iterator[Block]:
    """Say what stability was judged by, or that nobody knows.

    Parameters
    ----------
    explained : ExplainedCohort

    Yields
    ------
    Block
    """
    found = explained.record.refits
    if isinstance(found, RefitFindings):
        yield Paragraph(
            f"The ranges are those of {found.refits} refits on parts of the training cohort. Parts of one cohort "
            "overlap, so another cohort may differ by more."
        )
        return
    yield Paragraph(
        "How stable these contributions are is not known: this model was trained with too few refits, by an older "
        "adcr, or from the literature alone.",
        "warning",
    )
