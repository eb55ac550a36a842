"""Pseudonyms in place of patient ids: a keyed hash, the same for one id and key, of no use without the key.

A plain hash of an id is no pseudonym: hospital numbers are few enough to hash them all. The key makes the difference,
so it comes from the environment or a file, never from the command line, which other users of a machine can see.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from features.errors import InputError

if TYPE_CHECKING:
    from features.cohort_stream import CohortBatch, CohortStream
    from features.tables.text_table import TextTable

KEY_VARIABLE, KEY_FILE_VARIABLE = "ADCR_PSEUDONYM_KEY", "ADCR_PSEUDONYM_KEY_FILE"
#: A key that could be guessed would give the ids away; no key file is as large as the cap.
_FEWEST_BYTES, _MOST_BYTES = 16, 4096
#: 80 bits: among twenty million patients, two share a pseudonym with a probability below one in a billion.
_BYTES = 10
_PSEUDONYM = re.compile(r"PS-[A-Z2-7]{16}")
_MEND = f"Set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file with the key: 'openssl rand -hex 32' makes one."


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces ids by pseudonyms.

    Attributes
    ----------
    key : bytes
        Secret; whoever has it can tell which pseudonym an id has. It is never shown.
    """

    key: bytes = field(repr=False)

    def of(self, identifier: str) -> str:
        """Pseudonym of an id; a pseudonym stays as it is, so that a mended file of rejected rows can be scored.

        Parameters
        ----------
        identifier : str

        Returns
        -------
        str
            "PS-" and sixteen letters and digits; "" for no id.
        """
        plain = unicodedata.normalize("NFC", identifier).strip()
        if not plain or _PSEUDONYM.fullmatch(plain):
            return plain
        digest = hmac.new(self.key, plain.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return f"PS-{base64.b32encode(digest[:_BYTES]).decode()}"

    def of_batch(self, batch: CohortBatch, stream: CohortStream) -> CohortBatch:
        """Replace the ids of a batch, and leave out what of its rejected rows adcr does not read.

        Columns that adcr has no use for may hold names and dates of birth.

        Parameters
        ----------
        batch : CohortBatch
        stream : CohortStream
            That the batch is of.

        Returns
        -------
        CohortBatch
            Ids of patients and of rejected rows are pseudonyms.
        """
        ids = pa.array([self.of(i or "") for i in batch.patient_id.to_pylist()], type=batch.patient_id.type)
        rejected = None if batch.rejected is None else self._of_rejected(batch.rejected, stream)
        return replace(batch, patient_id=ids, rejected=rejected)

    def _of_rejected(self, rejected: TextTable, stream: CohortStream) -> TextTable:
        hidden = {name for name, target in _read(stream).items() if target == "patient_id"}
        kept = set(read_names(stream))
        columns, cells = [], []
        for name, column in zip(rejected.columns, rejected.cells, strict=True):
            if name not in kept:
                continue
            columns.append(name)
            texts = [self.of(text or "") for text in column.to_pylist()] if name in hidden else None
            cells.append(column if texts is None else pa.chunked_array([pa.array(texts, type=column.type)]))
        return replace(rejected, columns=tuple(columns), cells=tuple(cells))


def read_names(stream: CohortStream) -> tuple[str, ...]:
    """Columns of a file that adcr reads, in the file's order.

    Parameters
    ----------
    stream : CohortStream

    Returns
    -------
    tuple of str
    """
    return tuple(_read(stream))


def _read(stream: CohortStream) -> dict[str, str]:
    """Cohort column of each column that is read."""
    plans = {plan.position: plan.target for plan in stream.plans if plan.position is not None and plan.target}
    return {name: plans[position] for position, name in enumerate(stream.names) if position in plans}


def pseudonyms_from_environment() -> Pseudonyms:
    """Pseudonyms with the key that the environment holds or names.

    Returns
    -------
    Pseudonyms

    Raises
    ------
    InputError
        There is no key, there are two, or it is too short or unreadable.
    """
    given, file = os.environ.get(KEY_VARIABLE, ""), os.environ.get(KEY_FILE_VARIABLE, "")
    if bool(given) == bool(file):
        what = "there are two keys." if given else "there is no key to make pseudonyms with."
        raise InputError(what, where="--pseudonymise", mend=_MEND if not given else f"Unset {KEY_VARIABLE}.")
    key = _key_of(Path(file)) if file else given.strip().encode()
    if len(key) < _FEWEST_BYTES:
        raise InputError(f"the key is shorter than {_FEWEST_BYTES} characters.", where="--pseudonymise", mend=_MEND)
    return Pseudonyms(key)


def _key_of(file: Path) -> bytes:
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            raise InputError("this is no key file.", where=KEY_FILE_VARIABLE, mend=_MEND)
        return file.read_bytes().strip()
    except OSError as error:
        raise InputError(
            f"the key file cannot be read ({error.strerror}).", where=KEY_FILE_VARIABLE, mend=_MEND
        ) from error
