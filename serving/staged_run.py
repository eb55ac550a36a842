"""Scoring what an object store holds, and scores that go to one: copies on this machine in between."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from features.errors import InputError
from features.object_store import deliver, fetch, is_address, require_unused, staging_folder
from serving.output_files import OutputFiles, default_output

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def staged(file: str, output: str | None, *, resume: bool, shared: bool) -> Iterator[tuple[Path, Path]]:
    """Lend the paths of input and output; what an address names is copied before, and after, if all went well.

    Parameters
    ----------
    file : str
        Path or address of what is scored.
    output : str or None
        Path or address of the scores.
    resume : bool
        Whether the run is to be resumed, should it be killed.
    shared : bool
        Whether other machines compute.

    Yields
    ------
    file, output : Path

    Raises
    ------
    InputError
        An address cannot be read, or a run that ends in an object store is to be resumed.
    OutputError
        The object store does not take the scores.
    """
    reads, writes = is_address(file), output is not None and is_address(output)
    if not reads and not writes:
        yield Path(file), Path(output) if output else default_output(Path(file))
        return
    if writes and resume:
        raise InputError("scores in an object store cannot be resumed.", where="--resume", mend="Write to a disk.")
    if writes and output and not PurePosixPath(output).suffix:
        require_unused(output)
    with staging_folder(shared=shared) as folder:
        for name in ("in", "out"):
            (folder / name).mkdir()
        source = fetch(file, folder / "in") if reads else Path(file)
        if not writes or output is None:
            yield source, Path(output) if output else default_output(source)
            return
        place = folder / "out" / PurePosixPath(output).name
        yield source, place
        deliver([path for path in OutputFiles.of(place).all if path.exists()], output)
