"""Names that cohort files give to columns and levels, and what each of them means.

Names are compared after `normalise_name`, so that "HER2 IHC score", "her2_ihc_score" and "HER2-IHC Score" are one name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from features.biomarkers import measures
from features.cohort import CONTEXT_COLUMNS, OUTCOME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names met in real files for the columns that are not biomarkers.
CONTEXT_SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "patient_id": (
            "patient", "patient identifier", "patient number", "patient no", "patient code", "pat id", "pt id", "pid",
            "subject", "subject id", "subject identifier", "subjid", "usubjid", "participant id", "case id",
            "study id", "trial id", "donor id", "bcr_patient_barcode",
        ),
        "adc": (
            "antibody-drug conjugate", "antibody drug conjugate", "adc drug", "adc name", "drug", "drug name",
            "study drug", "study treatment", "treatment", "treatment name", "therapy", "agent", "regimen",
        ),
        "partner_drugs": (
            "partner", "partner drug", "combination", "combination partner", "combination drugs", "combined with",
            "concomitant therapy", "backbone", "co-treatment",
        ),
        "arm": ("treatment arm", "study arm", "trial arm", "arm name", "arm short name", "treatment group"),
        "cohort": ("cohort name", "study", "study name", "trial", "trial name", "data set", "dataset"),
        "site": (
            "site id", "study site", "centre", "center", "centre id", "center id", "hospital", "institution", "clinic",
        ),
        "setting": ("treatment setting", "disease setting", "clinical setting", "therapy setting"),
        "pcr": (
            "pathologic complete response", "pathological complete response", "path cr", "tpcr", "total pcr",
            "pcr status", "pcr (0/1)", "pcr yes/no", "ypT0/is ypN0", "resp.pCR", "complete pathological response",
        ),
        "objective_response": (
            "objective response (cr/pr)", "objective responder", "responder", "objective response status", "orr",
            "confirmed objective response",
        ),
        "best_response": (
            "bor", "best overall response", "best recist response", "best objective response", "recist",
            "recist response", "recist 1.1 response", "overall response", "best confirmed response",
        ),
        "pfs_months": (
            "pfs (months)", "pfs mo", "pfs time (months)", "progression-free survival (months)",
            "progression free survival months", "time to progression or death (months)",
        ),
        "pfs_event": (
            "pfs status", "pfs event (0/1)", "progression-free survival status", "progression-free survival event",
            "progression or death", "event_occurred_pfs",
        ),
    }
)  # fmt: skip

_TRADE_MARKS = str.maketrans("", "", "®™©℠")


def normalise_name(text: str) -> str:
    """Reduce a column or drug name to the form that names are compared in.

    Case, spaces, punctuation, accents and Unicode variants are dropped; a percent sign becomes the word, so that "ER %"
    (a percentage) and "ER" (a status) stay apart.

    Parameters
    ----------
    text : str
        A name as it stands in a file.

    Returns
    -------
    str
        Letters and digits only; empty where the name has none.

    Examples
    --------
    >>> normalise_name("HER2/CEP17 ratio")
    'her2cep17ratio'
    >>> normalise_name("ER (%)")
    'erpercent'
    """
    plain = _caseless(_caseless(text.translate(_TRADE_MARKS))).replace("%", " percent ")
    return "".join(character for character in plain if character.isalnum())


def _caseless(text: str) -> str:
    # Decomposed, so that accents fall away with the punctuation; twice, since folding can undo the decomposition.
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


def normalise_level(text: str) -> str:
    """Reduce a value of a level to the form that levels are compared in.

    Unlike in names, punctuation counts: "0-1+" is no spelling of "01", nor "<1" of "1+".

    Parameters
    ----------
    text : str
        A value as it stands in a file.

    Returns
    -------
    str
        Case-folded, with single spaces and one kind of minus sign.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2212", "-").replace("\u2013", "-")
    return re.sub(r"\s+", " ", plain).strip()


@cache
def measure_names() -> Mapping[str, tuple[str, ...]]:
    """Every known name of a cohort column, normalised, with the ids of the columns that it may mean.

    Covers the measures of the catalogue and the context and outcome columns (`patient_id`, `adc`, `pcr`...), each by
    its id and its synonyms. The catalogue's tests hold every name to one column; a caller still treats more than one
    id as an ambiguity to report, never to guess.

    Returns
    -------
    Mapping of str to tuple of str
        Normalised name to column ids, in catalogue order.
    """
    names: dict[str, list[str]] = {}
    spellings: list[tuple[str, tuple[str, ...]]] = [
        (column, (column, *CONTEXT_SYNONYMS.get(column, ()))) for column in (*CONTEXT_COLUMNS, *OUTCOME_COLUMNS)
    ]
    spellings += [(m.id, (m.id, *m.synonyms)) for m in measures().values()]
    for column, texts in spellings:
        for text in texts:
            ids = names.setdefault(normalise_name(text), [])
            if column not in ids:
                ids.append(column)
    return MappingProxyType({name: tuple(ids) for name, ids in names.items()})
