"""Answers of a cBioPortal portal in their documented forms; any other is refused in one line, whatever its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from features.public.file_content import message
from features.public.patience import FIRST_WAIT, TIMEOUTS, RefusedError, check_status, patiently

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

Form = TypeVar("Form")

#: Largest answer that is believed, in bytes.
_MOST_BYTES = 512 * 1024**2
#: Longest answer that is taken for a message.
_MESSAGE_BYTES = 4096


class Study(msgspec.Struct, frozen=True):
    """What a study says of itself."""

    name: str | None = None
    citation: str | None = None
    pmid: str | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """A molecular profile: copy number, mutations or expression."""

    molecular_profile_id: str
    molecular_alteration_type: str = ""
    datatype: str | None = None


class SampleList(msgspec.Struct, frozen=True, rename="camel"):
    """A list of samples, such as those that were sequenced."""

    sample_list_id: str


class ClinicalValue(msgspec.Struct, frozen=True, rename="camel"):
    """One clinical attribute of a patient or sample."""

    patient_id: str
    clinical_attribute_id: str
    value: str | int | float | None = None
    sample_id: str | None = None


class Gene(msgspec.Struct, frozen=True, rename="camel"):
    """A gene as the portal knows it."""

    hugo_gene_symbol: str
    entrez_gene_id: int = 0


class CopyNumberCall(msgspec.Struct, frozen=True, rename="camel"):
    """A discrete copy-number call of one gene in one sample."""

    entrez_gene_id: int
    sample_id: str
    alteration: int | float


class Mutation(msgspec.Struct, frozen=True, rename="camel"):
    """A variant in one sample."""

    entrez_gene_id: int
    sample_id: str
    mutation_type: str | None = None
    protein_change: str | None = None


class MolecularValue(msgspec.Struct, frozen=True, rename="camel"):
    """Expression of one gene in one sample."""

    entrez_gene_id: int
    sample_id: str
    value: float | str | None = None


class PanelOfSample(msgspec.Struct, frozen=True, rename="camel"):
    """Gene panel that a sample was profiled by; none where every gene was looked at."""

    sample_id: str
    gene_panel_id: str | None = None
    profiled: bool = True


class GenePanel(msgspec.Struct, frozen=True):
    """Genes of a panel."""

    genes: list[Gene]


class Portal:
    """Questions to one portal.

    Parameters
    ----------
    address : str
        Of the programming interface, such as ".../api".
    progress : callable, optional
        Called with the bytes received; the total is not known (0).
    first_wait : float
        Seconds before a second attempt.
    """

    def __init__(
        self, address: str, progress: Callable[[int, int], None] | None = None, first_wait: float = FIRST_WAIT
    ) -> None:
        self._address, self._progress, self._first_wait = address, progress, first_wait
        self._received = 0

    def ask(self, path: str, form: type[Form], body: Any = None, **parameters: Any) -> Form:
        """Ask one question.

        Parameters
        ----------
        path : str
        form : type
            What the answer must be.
        body : object, optional
            Sent as JSON, by POST.
        **parameters : object
            Of the address.

        Returns
        -------
        object
            Of type `form`.

        Raises
        ------
        RefusedError
            There is no answer, or it has another form.
        """
        import requests

        def once() -> Form:
            with requests.request(
                "GET" if body is None else "POST",
                f"{self._address}/{path}",
                params=parameters,
                json=body,
                headers={"Accept": "application/json"},
                timeout=TIMEOUTS,
                stream=True,
            ) as answer:
                check_status(answer)
                return _decoded(self._content(answer), form, path)

        return patiently(once, self._first_wait)

    def _content(self, answer: requests.Response) -> bytes:
        content = bytearray()
        for piece in answer.iter_content(64 * 1024):
            content += piece
            self._received += len(piece)
            if len(content) > _MOST_BYTES:
                raise RefusedError(f"the answer has more than {_MOST_BYTES:,} bytes")
            if self._progress:
                self._progress(self._received, 0)
        return bytes(content)


def _decoded(content: bytes, form: type[Form], path: str) -> Form:
    try:
        return msgspec.json.decode(content, type=form)
    except msgspec.ValidationError as error:
        if content.lstrip().startswith(b"{") and len(content) <= _MESSAGE_BYTES:
            told = message(content.decode("utf-8", errors="replace"))
            raise RefusedError(f"the server sent a message instead of data on {path}: '{told}'") from error
        raise RefusedError(f"the server's answer on {path} has another form than documented ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(f"the server sent something else than JSON on {path}, such as a web page") from error
