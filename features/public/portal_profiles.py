"""Which of a study's molecular profiles are read: one of copy number, one of mutations, one of expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.public.portal_answers import Profile

    Kind = Literal["cna", "mutations", "expression"]

#: Words of RNA-seq profiles' ids, the preferred first.
_RNA_SEQ = (("rna_seq_v2",), ("rna_seq", "rnaseq", "tpm", "fpkm", "rpkm"))


def one_of_each(profiles: Sequence[Profile]) -> dict[Kind, str]:
    """Choose one profile of each kind that the catalogue measures.

    Expression values go before z-scores, whose reference differs; then RNA-seq goes before arrays and others, because
    it is what most cohorts have. MicroRNA, which some studies file under mRNA, is never taken.

    Parameters
    ----------
    profiles : sequence of Profile

    Returns
    -------
    dict of str to str
        Profile id by "cna", "mutations" and "expression".
    """
    found: dict[Kind, str] = {}
    for profile in sorted(profiles, key=preference):
        kind = kind_of(profile)
        if kind is not None:
            found.setdefault(kind, profile.molecular_profile_id)
    return found


def preference(profile: Profile) -> tuple[bool, int, str]:
    """Order profiles of one kind: values before z-scores, RNA-seq before arrays and others.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    tuple
        To sort by, the preferred first.
    """
    name = profile.molecular_profile_id.lower()
    marks = next((i for i, words in enumerate(_RNA_SEQ) if any(word in name for word in words)), len(_RNA_SEQ))
    return profile.datatype == "Z-SCORE", marks, profile.molecular_profile_id


def kind_of(profile: Profile) -> Kind | None:
    """Tell what a profile holds, if the catalogue measures it.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    {"cna", "mutations", "expression"} or None
    """
    kind, datatype = profile.molecular_alteration_type, profile.datatype
    if kind == "COPY_NUMBER_ALTERATION" and datatype == "DISCRETE":
        return "cna"
    if kind == "MUTATION_EXTENDED":
        return "mutations"
    is_micro = "mirna" in profile.molecular_profile_id.lower()
    if kind == "MRNA_EXPRESSION" and datatype in ("CONTINUOUS", "Z-SCORE") and not is_micro:
        return "expression"
    return None
