"""What a scoring run did: counted, hashed, and told to people in 80 columns and to machines as JSON."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from features.faults import shown
from serving.scores import LIKELY, UNCERTAIN, UNLIKELY
from serving.shift import ColumnShift

if TYPE_CHECKING:
    from pathlib import Path

    from serving.run_tally import RunTally

#: Stands on everything that leaves the program.
RESEARCH_USE = "Research use only; never a treatment recommendation."
SCHEMA_VERSION = 1
_WIDTH = 80
_LONGEST = 10_000
_MOST_COLUMNS_TOLD = 5


class FileStamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file by name and content; its folder is left out, so that a manifest tells nothing of the machine."""

    file: str
    sha256: str
    bytes: int


class InputStamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that was scored."""

    file: str
    sha256: str
    #: "measured", "simulated" or "semi-synthetic"
    kind: str


class ModelStamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model that scored."""

    name: str
    version: str
    endpoint: str
    #: of `bundle.json`, which holds the hash of the trees
    sha256: str
    cohort_name: str
    cohort_sha256: str
    cohort_kind: str


class RowCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"read": "in"}):
    """What became of the rows of the file."""

    read: int
    scored: int
    rejected: int
    duplicates_merged: int

    @property
    def add_up(self) -> bool:
        """Whether no row was lost and none came twice."""
        return self.read == self.scored + self.rejected + self.duplicates_merged


class ProbabilitySpread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Distribution of the response probability over the scored rows."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of `<out>.manifest.json`; equal inputs give equal bytes, so it holds no time and no machine."""

    schema_version: int
    research_use: str
    input: InputStamp
    model: ModelStamp
    rows: RowCounts
    #: "" where patients and model are real
    data_origin: str
    scores: FileStamp
    #: None where no row was rejected, and then there is no such file
    rejected: FileStamp | None
    columns: tuple[str, ...]
    top_reasons: int
    #: what computed the trees, "LightGBM" or "tree kernel"; the scores are the same
    engine: str
    #: None where no row was scored
    probability: ProbabilitySpread | None
    bands: dict[str, int]
    #: share of the scored rows with a value outside the training range
    outside_training_range: float
    #: scored rows whose ADC the model has never seen, or that have none
    unseen_adc: int
    #: scored rows in a treatment setting (neoadjuvant, metastatic) that no training patient was in
    unseen_setting: int
    shift: tuple[ColumnShift, ...]
    #: population stability index of the scores against the held-out scores of training, p-value of the chi-square
    #: test of the same, and what they say of the calibration: "low", "moderate" or "high" risk that it does not hold
    #: here, or "uncertain" where so few rows cannot tell
    score_psi: float
    score_p_value: float
    calibration_risk: str
    #: faults of the file by code
    faults: dict[str, int]
    unused_columns: tuple[str, ...]
    versions: dict[str, str]

    def to_json(self) -> str:
        """JSON with one field per line, ending in a line break."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    def to_text(self) -> str:
        """Summary for people, at most 80 columns wide."""
        # Names come from files: none may steer the terminal.
        return "\n".join(_cut(shown(line, most=_LONGEST)) for line in _summary(self))


def stamp(path: Path, name: str) -> FileStamp:
    """Hash a file.

    Parameters
    ----------
    path : Path
        Where it is.
    name : str
        Name that it will bear.

    Returns
    -------
    FileStamp
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileStamp(name, digest.hexdigest(), file.tell())


def spread(tally: RunTally) -> ProbabilitySpread | None:
    """Quartiles of the response probability.

    Parameters
    ----------
    tally : RunTally

    Returns
    -------
    ProbabilitySpread or None
        None without patients.
    """
    if not tally.scored:
        return None
    return ProbabilitySpread(tally.lowest, *tally.quartiles(), tally.highest)


def _summary(manifest: Manifest) -> list[str]:
    rows, model = manifest.rows, manifest.model
    lines = [
        f"{manifest.input.file} scored by {model.name} {model.version} ({model.endpoint})",
        f"rows        {rows.read:,} in = {rows.scored:,} scored + {rows.rejected:,} rejected"
        f" + {rows.duplicates_merged:,} duplicates merged",
        f"computed by {manifest.engine}",
    ]
    if manifest.probability:
        p = manifest.probability
        lines += [
            f"probability {p.lower_quartile:.2f} / {p.median:.2f} / {p.upper_quartile:.2f} (quartiles),"
            f" {p.minimum:.2f} to {p.maximum:.2f}",
            "bands       " + ", ".join(f"{manifest.bands.get(b, 0):,} {b}" for b in (LIKELY, UNCERTAIN, UNLIKELY)),
            f"shift       {manifest.outside_training_range:.1%} of the rows have a value outside the training range",
        ]
        if manifest.calibration_risk == "uncertain":
            lines.append(f"            too few rows to tell whether the scores moved (PSI {manifest.score_psi:.2f})")
        elif manifest.calibration_risk != "low":
            lines.append(
                f"            calibration at {manifest.calibration_risk} risk: the scores moved"
                f" (PSI {manifest.score_psi:.2f})"
            )
        if manifest.unseen_adc:
            lines.append(f"            {manifest.unseen_adc:,} row(s) with an ADC that the model never saw, or none")
        if manifest.unseen_setting:
            lines.append(f"            {manifest.unseen_setting:,} row(s) in a setting that the model never saw")
        lines += [f"            {text}" for text in _told_shifts(manifest.shift)]
    if manifest.unused_columns:
        lines.append("not used    " + _as_many_as_fit(manifest.unused_columns))
    if manifest.faults:
        lines.append(f"noted       {sum(manifest.faults.values()):,} faults and doubts; 'adcr cohort check' tells each")
    if manifest.data_origin:
        lines.append(f"origin      SIMULATED: {manifest.data_origin}")
    lines.append(f"scores      {manifest.scores.file}")
    if manifest.rejected:
        lines.append(f"rejected    {manifest.rejected.file}: each row with its fault and how to mend it")
    return [*lines, manifest.research_use]


def _told_shifts(shifts: tuple[ColumnShift, ...]) -> list[str]:
    notable = sorted(
        (s for s in shifts if s.notable),
        key=lambda s: (-max(s.outside, abs(s.missing - s.missing_in_training), min(s.psi or 0.0, 1.0)), s.name),
    )
    told = [
        f"{s.name}: {s.outside:.0%} outside, {s.missing:.0%} missing ({s.missing_in_training:.0%} in training)"
        + (f", PSI {s.psi:.2f}" if s.moved else "")
        for s in notable[:_MOST_COLUMNS_TOLD]
    ]
    rest = len(notable) - len(told)
    return [*told, f"and {rest} more column{'s' * (rest > 1)}; the manifest lists all"] if rest else told


def _as_many_as_fit(names: tuple[str, ...]) -> str:
    told = ""
    for done, name in enumerate(names):
        rest = len(names) - done
        longer = f"{told}, {shown(name)}" if told else shown(name)
        if told and len(longer) > _WIDTH - 30:
            return f"{told} and {rest} more"
        told = longer
    return told


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
