"""Fetching public cohorts from a real server on this machine, which also fails in every way that servers do."""

from __future__ import annotations

import codecs
import errno
import gzip
import hashlib
import io
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

import adcr
from features.adcs import adcs
from features.biomarkers import measures
from features.columns.cohort_columns import OUTCOMES
from features.errors import AdcrError, InputError, OutputError
from features.mapping_file import load_mapping, shipped_mappings
from features.public import cache_place
from features.public.download import download
from features.public.fetching import fetch_cohort
from features.public.registry import (
    BIOMARKER_GROUPS,
    OUTCOME_NAMES,
    PublicCohort,
    public_cohort,
    public_cohorts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"patient_id\tvalue\n" + b"".join(f"P{i}\t{i}\n".encode() for i in range(20_000))
PATIENTS = 40


def series_matrix() -> bytes:
    """A made-up series of one sample per patient, laid out as GSE243375 is."""

    def line(key: str, cells: list[str]) -> str:
        return "\t".join([key, *(f'"{cell}"' for cell in cells)])

    numbers = range(PATIENTS)
    lines = [
        line("!Series_geo_accession", ["GSE243375"]),
        line("!Sample_title", [f"{i}_site1_core1" for i in numbers]),
        line("!Sample_characteristics_ch1", [f"patient id: P{i}" for i in numbers]),
        line("!Sample_characteristics_ch1", ["treatment: Pre-treatment"] * PATIENTS),
        line("!Sample_characteristics_ch1", [f"her2 heterogeneity: {'Yes' if i % 5 == 0 else 'No'}" for i in numbers]),
        line("!Sample_characteristics_ch1", [f"pcr: {'Yes' if i % 2 else 'No'}" for i in numbers]),
    ]
    return gzip.compress("\n".join([*lines, "!series_matrix_table_begin", ""]).encode())


def study_archive(header: str = "HER2_IHC_SCORE", *patients: str) -> bytes:
    """A made-up cBioPortal study of two patients."""
    first, second = patients or ("3", "1")
    files = {
        "made_up/meta_study.txt": "cancer_study_identifier: made_up\nname: Made up\ndescription: none\n",
        "made_up/meta_clinical_patient.txt": "cancer_study_identifier: made_up\ngenetic_alteration_type: CLINICAL\n"
        "datatype: PATIENT_ATTRIBUTES\ndata_filename: data_clinical_patient.txt\n",
        "made_up/data_clinical_patient.txt": "#Id\tHER2\n#Id\tHER2\n#STRING\tSTRING\n#1\t1\n"
        f"PATIENT_ID\t{header}\nA1\t{first}\nA2\t{second}\n",
        "made_up/meta_clinical_sample.txt": "cancer_study_identifier: made_up\ngenetic_alteration_type: CLINICAL\n"
        "datatype: SAMPLE_ATTRIBUTES\ndata_filename: data_clinical_sample.txt\n",
        "made_up/data_clinical_sample.txt": "#Id\tSample\n#Id\tSample\n#STRING\tSTRING\n#1\t1\n"
        "PATIENT_ID\tSAMPLE_ID\nA1\tS1\nA2\tS2\n",
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return written.getvalue()


TABLE = gzip.compress(CONTENT, mtime=0)
PAGE = b"<!DOCTYPE html><html>Please log in</html>"
#: What servers send in place of a file, and whole files.
BODIES = {
    "page": PAGE,
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "GSE243375_series_matrix.txt.gz": series_matrix(),
    "made_up.tar.gz": study_archive(),
    "broken.tar.gz": study_archive()[:-40],
    "whole.csv.gz": TABLE,
    "cut.csv.gz": TABLE[:-40],
    "unmeasured.csv.gz": TABLE,
    "changed.csv.gz": TABLE[:500] + b"?" + TABLE[501:],
    "error.csv.gz": b'{"error":"rate limit exceeded"}',
    "error.csv": b' {"message":"rate limit exceeded"}',
    "words.csv.gz": b"Too many requests\n",
    "marked.csv": codecs.BOM_UTF8 + b"\n <!-- moved --><html></html>",
    "utf16.csv": "<html></html>".encode("utf-16"),
    "head.csv": b"<head><title>Log in</title></head>",
    "page.csv.gz": gzip.compress(PAGE),
    "page.tar.gz": gzip.compress(PAGE),
    "table.tar.gz": TABLE,
    "empty.csv": b"",
    "page.xlsx": b"Not found",
    "cut.xlsx": b"PK\x03\x04 and then the connection broke",
}


class Server:
    """Answers by the path: /good, /cut, /again, /down, /busy, /gone, /huge, each of BODIES, and series and studies."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        #: What the next answers hold besides BODIES, and with which ETag; without one where it is empty.
        self.bodies: dict[str, bytes] = {}
        self.etag = '"one"'
        #: Whether a range is answered whatever If-Range says, as careless servers do, and with which Content-Range.
        self.careless, self.content_range = False, True
        #: Paths that are cut without a Content-Length.
        self.unmeasured = ("unmeasured.csv.gz",)
        #: Whether nothing is cut any more.
        self.whole = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.rpartition("/")[2]
        self.asked[path] += 1
        status = {"gone": 404, "down": 500, "busy": 429}.get(path, 200)
        if path == "again" and self.asked[path] == 1:
            status = 503
        if status != 200:
            request.send_response(status)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = self.bodies.get(path, BODIES.get(path, CONTENT))
        start = self._start(request)
        request.send_response(206 if start else 200)
        if start and self.content_range:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.etag:
            request.send_header("ETag", self.etag)
        if path not in self.unmeasured:
            request.send_header("Content-Length", str(10**12 if path == "huge" else len(body) - start))
        request.end_headers()
        cut = path == "always_cut" or (path == "cut" and self.asked[path] == 1) or path in self.unmeasured
        most = len(body) // 3 if path != "always_cut" else 10 if start else 70_000
        request.wfile.write(body[start : start + most] if cut and not self.whole else body[start:])
        request.close_connection = True

    def _start(self, request: BaseHTTPRequestHandler) -> int:
        asked = request.headers.get("Range")
        if not asked:
            return 0
        self.ranges.append(asked)
        if request.headers.get("If-Range") != self.etag and not self.careless:
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ADCR_OFFLINE", raising=False)


def fetched(server: Server, name: str, folder: Path, **options: Any) -> Path:
    return download(f"{server.url}/{name}", folder / name, first_wait=0.01, **options)


def left(folder: Path) -> list[str]:
    """Names of the files below a folder, but for the empty ones that keep two fetches apart."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server whose answers may be changed."""
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


def test_a_file_is_fetched_once_and_then_taken_from_its_place(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetched(server, "good", tmp_path, progress=lambda *done: seen.append(done))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    fetched(server, "good", tmp_path)
    fetched(server, "good", tmp_path, offline=True)
    assert server.asked["good"] == 1


def test_a_cut_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    assert fetched(server, "cut", tmp_path).read_bytes() == CONTENT
    # Whole pieces that came before the break are kept.
    assert "bytes=65536-" in server.ranges
    assert left(tmp_path) == ["cut"]


def test_a_break_that_only_the_content_tells_of_is_tried_again(own_server: Server, tmp_path: Path) -> None:
    def mended(_: int, __: int) -> None:
        own_server.whole = own_server.asked["unmeasured.csv.gz"] > 0

    assert fetched(own_server, "unmeasured.csv.gz", tmp_path, progress=mended).read_bytes() == TABLE
    assert own_server.asked["unmeasured.csv.gz"] == 2


def test_a_server_that_was_busy_is_asked_again(server: Server, tmp_path: Path) -> None:
    assert fetched(server, "again", tmp_path).read_bytes() == CONTENT
    assert server.asked["again"] == 2


@pytest.mark.parametrize(
    ("name", "told", "asked"),
    [
        ("gone", "answered 404", 1),
        ("down", "answered 500, 4 times", 4),
        ("busy", "answered 429, 4 times", 4),
        ("page", "web page instead", 1),
        ("pointer", "Git LFS pointer", 1),
        ("huge", "more than the cap", 1),
        ("cut.csv.gz", "cut off or corrupt", 1),
        ("unmeasured.csv.gz", "cut off or corrupt, 4 times", 4),
        ("changed.csv.gz", "cut off or corrupt", 1),
        ("error.csv.gz", "a message instead of the file: 'rate limit exceeded'", 1),
        ("error.csv", "a message instead of the file: 'rate limit exceeded'", 1),
        ("words.csv.gz", "'Too many requests' instead of a gzip file", 1),
        ("marked.csv", "web page instead", 1),
        ("utf16.csv", "web page instead", 1),
        ("head.csv", "web page instead", 1),
        ("page.csv.gz", "web page instead", 1),
        ("page.tar.gz", "web page instead", 1),
        ("table.tar.gz", "no tar archive", 1),
        ("empty.csv", "empty file", 1),
        ("page.xlsx", "no whole Excel workbook", 1),
        ("cut.xlsx", "no whole Excel workbook", 1),
    ],
)
def test_a_failure_is_told_in_one_line_and_leaves_nothing(
    server: Server, tmp_path: Path, name: str, told: str, asked: int
) -> None:
    with pytest.raises(InputError) as error:
        fetched(server, name, tmp_path)
    text = str(error.value)
    assert told in text
    assert f"{server.url}/{name}" in text
    assert "by hand to" in text
    assert "\n" not in text
    assert server.asked[name] == asked
    assert left(tmp_path) == []


def test_a_wrong_checksum_is_refused_and_a_right_one_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sha256"):
        fetched(server, "good", tmp_path, sha256="0" * 64)
    assert left(tmp_path) == []
    fetched(server, "good", tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest())


def test_without_a_network_the_line_names_the_file_and_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no connection.*by hand to .*file\.txt"):
        download("http://127.0.0.1:9/file.txt", tmp_path / "file.txt", first_wait=0.01)
    with pytest.raises(InputError, match="--offline"):
        download("http://127.0.0.1:9/file.txt", tmp_path / "file.txt", offline=True)


def test_what_keeps_breaking_is_kept_for_the_next_call_but_never_taken_for_whole(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="broke"):
        fetched(server, "always_cut", tmp_path)
    assert left(tmp_path) == [".always_cut.part", ".always_cut.part.json"]


def cut_short(server: Server, folder: Path, path: str = "file") -> None:
    """Leave the first 70,000 bytes of a file in the cache as a connection that broke leaves them."""
    server.bodies["always_cut"] = CONTENT
    with pytest.raises(InputError, match="broke"):
        download(f"{server.url}/always_cut", folder / path, first_wait=0.0)


@pytest.mark.parametrize("careless", [False, True])
def test_a_part_of_an_older_file_is_never_joined_to_a_newer_one(
    own_server: Server, tmp_path: Path, careless: bool
) -> None:
    cut_short(own_server, tmp_path)
    own_server.ranges.clear()
    newer = CONTENT.upper() + b"more"
    own_server.bodies["always_cut"], own_server.etag, own_server.careless = newer, '"two"', careless
    own_server.whole = True
    assert download(f"{own_server.url}/always_cut", tmp_path / "file", first_wait=0.0).read_bytes() == newer
    assert own_server.ranges == ["bytes=65536-"]


@pytest.mark.parametrize("absent", ["etag", "content_range"])
def test_without_proof_of_the_same_file_it_is_fetched_from_its_beginning(
    own_server: Server, tmp_path: Path, absent: str
) -> None:
    own_server.careless = True
    setattr(own_server, absent, type(getattr(own_server, absent))())
    assert fetched(own_server, "cut", tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["cut"]


def test_a_part_from_another_address_is_not_gone_on_with(own_server: Server, tmp_path: Path) -> None:
    cut_short(own_server, tmp_path)
    own_server.ranges.clear()
    assert download(f"{own_server.url}/good", tmp_path / "file").read_bytes() == CONTENT
    assert own_server.ranges == []


def test_two_fetches_at_once_ask_once(own_server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetched, args=(own_server, "whole.csv.gz", tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert own_server.asked["whole.csv.gz"] == 1
    assert (tmp_path / "whole.csv.gz").read_bytes() == TABLE


def test_who_has_waited_too_long_for_another_fetch_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_place, "LOCK_PATIENCE", 0.1)
    told: list[str] = []

    def second() -> None:
        with pytest.raises(InputError, match="another process is fetching it") as error:
            fetched(server, "whole.csv.gz", tmp_path)
        told.append(str(error.value))

    with cache_place.alone(tmp_path / "whole.csv.gz"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert str(tmp_path) in told[0]


@pytest.mark.parametrize("folder", ["a_file/cohorts", "/proc/nope", "/dev/full/cohorts"])
def test_a_cache_that_cannot_be_written_is_told_in_one_line(server: Server, tmp_path: Path, folder: str) -> None:
    (tmp_path / "a_file").touch()
    with pytest.raises(OutputError, match=r"the cache cannot be used: .*XDG_CACHE_HOME") as error:
        fetched(server, "whole.csv.gz", tmp_path / folder)
    assert folder.rpartition("/")[0] in str(error.value)
    assert "\n" not in str(error.value)


def test_a_full_disk_is_told_in_one_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("features.public.download.os.fsync", full)
    with pytest.raises(OutputError, match="the cache cannot be used: no space left"):
        fetched(server, "whole.csv.gz", tmp_path)
    assert not (tmp_path / "whole.csv.gz").exists()


@pytest.mark.parametrize(
    ("etag", "told"), [('"one"', "is kept, and the same command goes on"), ("", "nothing half written was left")]
)
def test_an_interruption_says_whether_the_part_is_kept(
    own_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    etag: str,
    told: str,
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("ADCR_HOST_GEO", own_server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("features.progress_bar.LateProgressBar.__call__", stop)
    own_server.etag = etag
    own_server.bodies["GSE243375_series_matrix.txt.gz"] = CONTENT
    assert adcr.main(["cohort", "fetch", "nct02326974", "-o", str(tmp_path / "t.csv")]) == 130
    assert told in capsys.readouterr().err
    assert bool(left(tmp_path)) == bool(etag)


# -- cohorts -----------------------------------------------------------------------------------------------------


def test_a_series_is_fetched_imported_and_has_its_licence_beside_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADCR_HOST_GEO", server.url)
    cohort = fetch_cohort("nct02326974", tmp_path / "t.csv", folder=tmp_path / "cache", first_wait=0.01)
    assert len(cohort.patients) == PATIENTS
    assert "GSE243375" in (tmp_path / "t.csv.licence.txt").read_text(encoding="utf-8")
    fetch_cohort("nct02326974", tmp_path / "again.csv", folder=tmp_path / "cache", offline=True)
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()


def test_any_study_of_cbioportal_is_fetched_by_its_id(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADCR_HOST_CBIOPORTAL", server.url)
    cohort = fetch_cohort("cbioportal:made_up", tmp_path / "s.csv", folder=tmp_path / "cache", first_wait=0.01)
    assert cohort.patients["her2_ihc"].tolist() == ["3+", "1+"]


def test_a_broken_archive_leaves_the_cache(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADCR_HOST_CBIOPORTAL", server.url)
    with pytest.raises(InputError, match="cut off or corrupt"):
        fetch_cohort("cbioportal:broken", tmp_path / "s.csv", folder=tmp_path / "cache", first_wait=0.01)
    assert left(tmp_path) == []


def test_a_whole_study_whose_columns_need_a_mapping_stays_and_the_line_says_how_to_go_on(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADCR_HOST_CBIOPORTAL", own_server.url)
    own_server.bodies["unclear.tar.gz"] = study_archive("HER2_IHC_SCORE\tIHC_HER2", "3\tPositive", "1\tNegative")
    with pytest.raises(InputError, match=r"its columns need a mapping: .*read as 'her2_ihc'") as error:
        fetch_cohort("cbioportal:unclear", tmp_path / "s.csv", folder=tmp_path / "cache")
    archive = tmp_path / "cache" / "unclear" / "unclear.tar.gz"
    assert f"adcr cohort import {archive} --map FILE" in str(error.value)
    mapping = tmp_path / "unclear.toml"
    mapping.write_text('other_columns = "keep"\n[columns]\nher2_ihc = "HER2_IHC_SCORE"\n')
    output = tmp_path / "s.csv"
    assert adcr.main(["cohort", "import", str(archive), "--map", str(mapping), "-o", str(output)]) == 0


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"something else"), gzip.compress(bytes(range(256)) * 9), TABLE],
    ids=["text", "bytes", "table"],
)
def test_what_cannot_be_imported_leaves_the_cache_and_is_named(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    name = "GSE243375_series_matrix.txt.gz"
    own_server.bodies[name] = body
    monkeypatch.setenv("ADCR_HOST_GEO", own_server.url)
    with pytest.raises(InputError, match=rf"cannot be read: .*Removed from the cache: .*{name}; fetch again") as error:
        fetch_cohort("nct02326974", tmp_path / "t.csv", folder=tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert left(tmp_path) == []
    del own_server.bodies[name]
    fetch_cohort("nct02326974", tmp_path / "t.csv", folder=tmp_path / "cache")


def test_a_file_put_there_by_hand_is_named_but_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "brca_metabric" / "brca_metabric.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(PAGE)
    with pytest.raises(InputError, match=r"Read from the cache: .*brca_metabric\.tar\.gz; remove it"):
        fetch_cohort("brca_metabric", tmp_path / "t.csv", folder=tmp_path / "cache")
    assert path.exists()


@pytest.mark.parametrize(("output", "told"), [("t.docx", "not a format"), ("nowhere/t.csv", "folder does not exist")])
def test_an_output_that_cannot_be_written_is_told_before_anything_is_fetched(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, told: str
) -> None:
    monkeypatch.setenv("ADCR_HOST_GEO", own_server.url)
    with pytest.raises(AdcrError, match=told):
        fetch_cohort("nct02326974", tmp_path / output, folder=tmp_path / "cache")
    assert not own_server.asked


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("daisy", "needs an access agreement"),
        ("tcga_brca_clinical", "adcr cohort import FILE --map tcga_brca_clinical"),
        ("brca_metabrik", "Did you mean 'brca_metabric'"),
        ("cbioportal:../etc", "no public cohort"),
    ],
)
def test_what_cannot_be_fetched_says_what_to_do(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        fetch_cohort(name, tmp_path / "c.csv", folder=tmp_path / "cache")


def test_the_list_shows_every_cohort_with_licence_and_access(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main(["cohort", "list"]) == 0
    shown = capsys.readouterr().out
    for entry in public_cohorts():
        assert entry.name in shown
        assert entry.licence in shown
        assert entry.holds() in shown
        assert ", ".join(entry.biomarkers) in shown
        assert bool(entry.host) + bool(entry.by_hand) + bool(entry.apply) == 1
    assert public_cohort("ispy2").host == "geo"


@pytest.mark.parametrize("entry", public_cohorts(), ids=lambda entry: entry.name)
def test_a_cohort_of_the_registry_speaks_of_what_the_catalogue_and_the_mappings_know(entry: PublicCohort) -> None:
    assert entry.mapping in {"", *shipped_mappings()}
    assert set(entry.biomarkers) <= {*measures(), *BIOMARKER_GROUPS}
    assert len(set(entry.biomarkers)) == len(entry.biomarkers) > 0
    assert set(entry.adc) <= set(adcs())
    assert entry.outcome in {"", *OUTCOME_NAMES}
    assert (entry.events or 0) <= (entry.assessed or 0) <= (entry.patients or 0)
    assert bool(entry.format) is not bool(entry.apply)
    assert len(entry.sha256) in (0, len(entry.files))
    assert all(len(digest) == 64 for digest in entry.sha256)
    if entry.host == "geo" or entry.format in ("Excel workbook", "table"):
        # Nothing else tells how to read them.
        assert entry.mapping
    if entry.mapping:
        read = {column for column in load_mapping(entry.mapping).columns if column in measures()}
        assert {name for name in read if not _in_group(name, entry)} <= set(entry.biomarkers)


def _in_group(measure: str, entry: PublicCohort) -> bool:
    return any(measure.endswith(BIOMARKER_GROUPS[group]) for group in entry.biomarkers if group in BIOMARKER_GROUPS)


def test_every_group_of_biomarkers_holds_some_and_every_outcome_is_a_column() -> None:
    for endings in BIOMARKER_GROUPS.values():
        assert any(name.endswith(endings) for name in measures())
    assert set(OUTCOME_NAMES) <= set(OUTCOMES)


def test_transneo_agrees_with_what_its_mapping_gives() -> None:
    told = {name: public_cohort(name).holds() for name in ("transneo", "transneo_external", "transneo_model")}
    assert told == {
        "transneo": "65 patients; no ADC; pCR in 20 of 62",
        "transneo_external": "18 patients; no ADC; pCR in 11 of 18",
        "transneo_model": "55 patients; no ADC; pCR in 17 of 55",
    }


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("transneo", "transneo_sammut2022/Supplementary_Tables.xlsx"),
        ("transneo_external", "transneo_sammut2022/Supplementary_Tables.xlsx"),
        ("transneo_model", "transneo_sammut2022/training_df.csv"),
        ("ispy2_wolf2022", "ispy2_wolf2022/combined_clin_radiogenomic.csv"),
    ],
)
def test_a_fetched_table_gives_the_patients_events_and_biomarkers_that_the_registry_states(
    shared_data: Path, own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, copy: str
) -> None:
    entry = public_cohort(name)
    own_server.bodies[quote(entry.files[0].rpartition("/")[2])] = (shared_data / copy).read_bytes()
    monkeypatch.setenv("ADCR_HOST_GITHUB", own_server.url)
    cohort = fetch_cohort(name, tmp_path / "c.csv", folder=tmp_path / "cache")
    outcome = cohort.patients["pcr"]
    assert (len(cohort.patients), outcome.notna().sum(), outcome.sum()) == (
        entry.patients,
        entry.assessed,
        entry.events,
    )
    assert set(cohort.patients["adc"]) - {"none"} == set(entry.adc)
    assert {name for name in cohort.measured() if not _in_group(name, entry)} <= set(entry.biomarkers)


def ispy2_files() -> dict[str, bytes]:
    """A made-up series on two platforms, laid out as GSE194040 is, with its gene-level matrix by patient."""
    entry = public_cohort("ispy2")
    bodies = {}
    for part, path in enumerate(entry.files):
        patients = range(part * PATIENTS, (part + 1) * PATIENTS)
        # Of one arm the series has two spellings.
        arms = ("Paclitaxel + AMG 386", "T-DM1 + Pertuzumab", "Paclitaxel + AMG-386", "T-DM1 + Pertuzumab")
        facts = {"patient id": lambda i: i, "arm": lambda i, arms=arms: arms[i % 4]}
        facts |= {"pcr": lambda i: i % 3 % 2, "her2": lambda i: i % 2, "hr": lambda i: i % 5 % 2, "mp": lambda _: 0}
        rows = [("!Series_geo_accession", ["GSE194040"]), ("!Sample_title", [f"sample {i}" for i in patients])]
        rows += [("!Sample_characteristics_ch1", [f"{k}: {fact(i)}" for i in patients]) for k, fact in facts.items()]
        lines = ["\t".join([key, *(f'"{cell}"' for cell in cells)]) for key, cells in rows]
        text = "\n".join([*lines, "!series_matrix_table_begin", ""])
        bodies[path.rpartition("/")[2]] = gzip.compress(text.encode())
    everyone = [str(i) for i in range(2 * PATIENTS)]
    matrix = ["\t".join(["gene", *everyone]), "\t".join(["ERBB2", *(f"{int(i) / 10 + 5:.2f}" for i in everyone)])]
    bodies[entry.expression.rpartition("/")[2]] = gzip.compress("\n".join([*matrix, ""]).encode())
    return bodies


def test_ispy2_is_fetched_with_its_gene_level_matrix(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADCR_HOST_GEO", own_server.url)
    own_server.bodies = ispy2_files()
    patients = fetch_cohort("ispy2", tmp_path / "c.csv", expression=True, folder=tmp_path / "cache").patients
    assert len(patients) == 2 * PATIENTS
    assert patients["adc"].value_counts().to_dict() == {"T-DM1": PATIENTS, "none": PATIENTS}
    assert patients["erbb2_mrna_z"].notna().all()
    assert patients["erbb2_mrna_z"].mean() == pytest.approx(0.0, abs=1e-6)
