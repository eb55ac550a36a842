"""Which files a scoring run writes, and which it must not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from features.errors import InputError, OutputError
from features.whole_file import require_folder

#: Endings that a score file may have.
FORMATS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """The three files of a run: scores, and beside them `<out>.rejected.csv` and `<out>.manifest.json`.

    `<out>` is the name of the score file without its ending.
    """

    scores: Path
    rejected: Path
    manifest: Path

    @classmethod
    def of(cls, scores: Path) -> OutputFiles:
        """Name the files that stand beside the scores."""
        return cls(scores, scores.with_name(f"{scores.stem}.rejected.csv"), scores.with_suffix(".manifest.json"))

    @property
    def in_parts(self) -> bool:
        """Whether the scores are a folder of Parquet files."""
        return self.scores.suffix == ""

    @property
    def all(self) -> tuple[Path, Path, Path]:
        """Every file that may be written."""
        return self.scores, self.rejected, self.manifest


def default_output(file: Path) -> Path:
    """Where scores go if the user names no output: the working folder, Parquet for Parquet and CSV for all else.

    Parameters
    ----------
    file : Path
        The file to score.

    Returns
    -------
    Path
        "trial/site_a.csv.gz" gives "site_a.scores.csv".
    """
    stem = file.name
    while Path(stem).suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".pq", ".gz"):
        stem = Path(stem).stem
    return Path(f"{stem}.scores{'.parquet' if file.suffix.lower() in ('.parquet', '.pq') else '.csv'}")


def check_output(output: Path, *, inputs: tuple[Path, ...]) -> OutputFiles:
    """Refuse, before any work is done, outputs that cannot be written or that would replace an input.

    Parameters
    ----------
    output : Path
        The score file; its ending names the format. Without an ending, a folder of Parquet files.
    inputs : tuple of Path
        Every file that is read.

    Returns
    -------
    OutputFiles

    Raises
    ------
    InputError
        The format is unknown, or an input would be overwritten.
    OutputError
        There is no such folder, it may not be written to, or what bears the name is no file.
    """
    if output.suffix.lower() not in (*FORMATS, ""):
        raise InputError(
            f"'{output.name}' does not say which format to write.",
            where="--output",
            mend="End it in .csv or .parquet, or name a folder without an ending.",
        )
    require_folder(output)
    files = OutputFiles.of(output)
    for path in files.all:
        if path.exists() and not path.is_file() and not (files.in_parts and path == files.scores and path.is_dir()):
            raise OutputError("this is no ordinary file.", where=str(path), mend="Name another output.")
        if path.exists() and any(read.exists() and path.samefile(read) for read in inputs):
            raise InputError("an output would overwrite an input.", where=str(path), mend="Name another output.")
    return files
