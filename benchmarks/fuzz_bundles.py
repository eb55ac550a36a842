"""Mutated model bundles, for `benchmarks.fuzz`.

A quarter are copies with a broken file, which the hashes must catch. The others have every hash made to fit again, half
of the text and a quarter of the record, so that only structure, LightGBM and golden rows stand in the way; those are
tried in a forked guarded process, by the same code as `training.model_trust.trial`. One that passes and is then scored
must keep this process alive; it bears another version wherever its scores differ.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from benchmarks.fuzz import Finding, _refused, mutated, tried
from benchmarks.small_model import small_model
from features.errors import AdcrError
from serving import model_trial
from serving.row_scores import score_rows
from serving.tree_kernel import read_trees
from training.bundle_schema import BundleRecord
from training.golden_rows import golden_matrix
from training.lightgbm_library import lightgbm_alone
from training.model_bundle import MODEL_FILE, RECORD_FILE, ModelBundle, _version_of, read_bundle, sha256_of
from training.model_trust import TrialRequest, TrialVerdict, require_catalogue
from training.record_check import record_fault


class BundleTrials:
    """Mutations of one bundle.

    Parameters
    ----------
    folder : Path
        For mutated copies.
    model : Path, optional
        The bundle; one is trained where none is named.
    """

    def __init__(self, folder: Path, model: Path | None) -> None:
        self.whole = model or _trained(folder)
        self.copy = folder / "mutated"
        self.copy.mkdir()
        self.original = read_bundle(self.whole)
        self.rows = golden_matrix(self.original.record.golden)
        # Loaded before the fork, so that each trial costs milliseconds.
        lightgbm_alone()
        read_trees(self.original.model_text)

    def run(self, number: int, seed: int) -> list[str]:
        """Try broken copies, then models whose hashes fit."""
        part = number // 4
        found = tried("broken bundles", part, self._broken, seed=seed)
        found += tried("resealed records", part, self._resealed_record, seed=seed + part)
        return found + tried("resealed trees", number - 2 * part, self._resealed, seed=seed + 2 * part)

    def _broken(self, draw: random.Random) -> str:
        at = draw.choice((MODEL_FILE, RECORD_FILE))
        for name in (MODEL_FILE, RECORD_FILE):
            content = (self.whole / name).read_bytes()
            (self.copy / name).write_bytes(mutated(content, draw) if name == at else content)
        try:
            bundle = read_bundle(self.copy)
        except AdcrError as error:
            return _refused(error)
        if bundle.record != self.original.record or bundle.model_text != self.original.model_text:
            raise Finding("another model passed under the same hashes")
        return "read, the same"

    def _resealed_record(self, draw: random.Random) -> str:
        document = msgspec.json.decode((self.whole / RECORD_FILE).read_bytes())
        _change_a_value(document, draw)
        try:
            record = msgspec.json.decode(msgspec.json.encode(document), type=BundleRecord)
        except msgspec.DecodeError:
            return "refused by its types"
        record = msgspec.structs.replace(record, model_version=_version_of(record))
        if record.schema_version != self.original.record.schema_version or record.files != self.original.record.files:
            return "refused"
        bundle = ModelBundle(record, self.original.model_text, self.copy)
        try:
            require_catalogue(bundle)
            if record_fault(record) or _forked_trial(
                TrialRequest(record.schema.names, record.golden, bundle.model_text)
            ):
                return "refused by the trial"
            scored = score_rows(bundle, _PATIENTS)
        except AdcrError as error:
            return _refused(error)
        if len(scored) != len(_PATIENTS):
            raise Finding("rows were lost")
        return "passed, another version" if record != self.original.record else "the same"

    def _resealed(self, draw: random.Random) -> str:
        text = _mutated_model(self.original.model_text.encode(), draw)
        if draw.random() < 0.8:
            text = _sized(text)
        record = msgspec.structs.replace(self.original.record, files={MODEL_FILE: sha256_of(text)})
        record = msgspec.structs.replace(record, model_version=_version_of(record))
        (self.copy / MODEL_FILE).write_bytes(text)
        (self.copy / RECORD_FILE).write_bytes(msgspec.json.encode(record))
        try:
            bundle = read_bundle(self.copy)
            require_catalogue(bundle)
        except AdcrError as error:
            return _refused(error)
        what = _forked_trial(TrialRequest(record.schema.names, record.golden, bundle.model_text))
        if what:
            return "ended the guarded process" if "ended the process" in what else "refused by the trial"
        if text == self.original.model_text.encode():
            return "the same"
        scores = bundle.predict_log_odds(self.rows)
        bundle.contributions(self.rows)
        if not np.isfinite(scores).all():
            raise Finding("a score is not finite")
        if bundle.record.model_version == self.original.record.model_version:
            raise Finding("another model passed under the same version")
        return "passed, another version"


_PATIENTS = pd.DataFrame(
    {
        "patient_id": ["A1", "A2", "A3"],
        "adc": ["T-DM1", "T-DXd", "T-DM1"],
        "her2_ihc": ["3+", "1+", ""],
        "erbb2_copy_number": ["12", "2", "90"],
        "age_years": ["50", "", "61"],
    },
    dtype="str",
)
_STRANGE = (-1, 0, 1, 2**40, 1e308, -0.5, 0.5, None, "", "x", "\x1b[2J", "=1+1", "<b>", "A" * 400, [], {}, True)


def _change_a_value(document: object, draw: random.Random) -> None:
    """Walk into a document at random and change what is there: another value, one more, one less."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))  # type: ignore[arg-type]
        key = draw.choice(keys)
        inner = document[key]  # type: ignore[index]
        if isinstance(inner, dict | list) and inner and draw.random() < 0.9:
            document = inner
            continue
        if draw.random() < 0.2:
            del document[key]  # type: ignore[attr-defined]
        elif isinstance(document, list) and draw.random() < 0.2:
            document.insert(key, inner)
        else:
            document[key] = draw.choice(_STRANGE)  # type: ignore[index]
        return


def _mutated_model(text: bytes, draw: random.Random) -> bytes:
    """One change in half of the cases: a digit, a line or a block, as a careful hand would make it."""
    if draw.random() < 0.5:
        return mutated(text, draw)
    lines = text.split(b"\n")
    at = draw.randrange(len(lines))
    kind = draw.randrange(4)
    if kind == 0:
        places = [i for i, c in enumerate(lines[at]) if c in b"0123456789"]
        if places:
            changed = bytearray(lines[at])
            changed[draw.choice(places)] = draw.choice(b"0123456789")
            lines[at] = bytes(changed)
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines.insert(draw.randrange(len(lines)), lines[at])
    else:
        key, mark, value = lines[at].partition(b"=")
        numbers = value.split(b" ")
        numbers[draw.randrange(len(numbers))] = draw.choice((b"-1", b"2147483647", b"nan", b"1e308", b"", b"7"))
        lines[at] = key + mark + b" ".join(numbers)
    return b"\n".join(lines)


def _sized(text: bytes) -> bytes:
    """Make the stated sizes of the trees fit, so that a change gets past them."""
    trees = re.split(rb"^(?=Tree=)", text.partition(b"end of trees")[0], flags=re.MULTILINE)[1:]
    sizes = b" ".join(str(len(tree)).encode() for tree in trees)
    return re.sub(rb"^tree_sizes=.*$", b"tree_sizes=" + sizes, text, count=1, flags=re.MULTILINE)


_RAISED = "the trial raised"


def _forked_trial(request: TrialRequest) -> str:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(0)
        try:
            model_trial._limit()
            what = model_trial._fault(request)
        except BaseException as error:
            what = f"{_RAISED} {error!r}"
        # Here, whatever happened: what comes after belongs to the parent, its temporary folder too.
        os.write(write, msgspec.json.encode(TrialVerdict(what)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    what = msgspec.json.decode(answer, type=TrialVerdict).what if answer else f"ended the process ({status})"
    if what.startswith(_RAISED):
        raise Finding(what)
    return what


def _trained(folder: Path) -> Path:
    started = time.perf_counter()
    model = small_model(folder / "model")
    print(f"trained a model to mutate in {time.perf_counter() - started:.0f} s")
    return model
