"""Classes of variants: which the portal leaves out, which cut the protein short, and what the protein change tells."""

from __future__ import annotations

import re

#: Variant classes that the portal leaves out by default, but for the promoter of TERT (cBioPortal file formats, MAF).
LEFT_OUT_CLASSES = frozenset({"Silent", "Intron", "IGR", "3'UTR", "5'UTR", "3'Flank", "5'Flank"})
_PROMOTER_KEPT = ("TERT", "5'Flank")
#: Variant classes that cut the protein short.
TRUNCATING_CLASSES = frozenset(
    {"Nonsense_Mutation", "Frame_Shift_Del", "Frame_Shift_Ins", "Splice_Site", "Translation_Start_Site"}
)
#: Class by the form of the protein change in one-letter HGVS, in this order: of a frame shift the end is a stop too.
_BY_CHANGE = (
    (re.compile(r"fs"), "Frame_Shift_Del"),
    (re.compile(r"splice"), "Splice_Site"),
    (re.compile(r"^M1[A-Z?]"), "Translation_Start_Site"),
    (re.compile(r"=$|^([A-Z*])\d+\1$"), "Silent"),
    (re.compile(r"^[A-Z]\d+\*$|_[A-Z]\d+delins[A-Z]*\*$"), "Nonsense_Mutation"),
    (re.compile(r"^[A-Z]\d+[A-Z]$"), "Missense_Mutation"),
    (re.compile(r"ins|dup"), "In_Frame_Ins"),
    (re.compile(r"del"), "In_Frame_Del"),
)


def class_of(change: str) -> str:
    """Tell the class of a variant by its protein change.

    Parameters
    ----------
    change : str
        One-letter HGVS with or without "p.": "V600E", "p.R306*", "E287=".

    Returns
    -------
    str
        Class of the MAF format (a frame shift counts as a deletion); empty where the change does not tell.
    """
    written = change.strip().removeprefix("p.")
    return next((kind for form, kind in _BY_CHANGE if form.search(written)), "")


def is_left_out(gene: str, variant_class: str) -> bool:
    """Whether the portal leaves a variant out by default.

    Parameters
    ----------
    gene, variant_class : str

    Returns
    -------
    bool
    """
    return variant_class in LEFT_OUT_CLASSES and (gene, variant_class) != _PROMOTER_KEPT
