"""Fetching public cohorts from a real server on this machine, which also fails in every way that servers do."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import adcr
from features.errors import InputError
from features.public.download import download
from features.public.fetching import fetch_cohort
from features.public.registry import public_cohort, public_cohorts

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


def study_archive() -> bytes:
    """A made-up cBioPortal study, and a member that would leave its folder."""
    files = {
        "made_up/meta_study.txt": "cancer_study_identifier: made_up\nname: Made up\ndescription: none\n",
        "made_up/meta_clinical_patient.txt": "cancer_study_identifier: made_up\ngenetic_alteration_type: CLINICAL\n"
        "datatype: PATIENT_ATTRIBUTES\ndata_filename: data_clinical_patient.txt\n",
        "made_up/data_clinical_patient.txt": "#Id\tHER2\n#Id\tHER2\n#STRING\tSTRING\n#1\t1\n"
        "PATIENT_ID\tHER2_IHC_SCORE\nA1\t3\nA2\t1\n",
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


class Server:
    """Answers by the path: /good, /cut, /again, /down, /busy, /gone, /page, /pointer, /huge, and series and studies."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
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
        start = 0
        if asked := request.headers.get("Range"):
            self.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        bodies = {
            "page": b"<!DOCTYPE html><html>Please log in</html>",
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "GSE243375_series_matrix.txt.gz": series_matrix(),
            "made_up.tar.gz": study_archive(),
            "broken.tar.gz": study_archive()[:-40],
        }
        status = {"gone": 404, "down": 500, "busy": 429}.get(path, 200)
        if path == "again" and self.asked[path] == 1:
            status = 503
        if status != 200:
            request.send_response(status)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = bodies.get(path, CONTENT)
        request.send_response(206 if start else 200)
        length = 10**12 if path == "huge" else len(body) - start
        request.send_header("Content-Length", str(length))
        request.end_headers()
        whole = path not in ("cut", "always_cut") or (path == "cut" and self.asked[path] > 1)
        most = 10 if path == "always_cut" else len(body) // 3
        request.wfile.write(body[start:] if whole else body[start : start + most])
        request.close_connection = True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetched(server: Server, name: str, folder: Path, **options: Any) -> Path:
    return download(f"{server.url}/{name}", folder / name, first_wait=0.01, **options)


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
    assert [p.name for p in tmp_path.iterdir()] == ["cut"]


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
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_refused_and_a_right_one_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sha256"):
        fetched(server, "good", tmp_path, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
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
    assert not (tmp_path / "always_cut").exists()


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
    assert not list((tmp_path / "cache").rglob("*.gz"))
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("daisy", "needs an access agreement"),
        ("transneo", "adcr cohort import FILE --map transneo_supplement"),
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
        assert bool(entry.host) + bool(entry.by_hand) + bool(entry.apply) == 1
    assert public_cohort("ispy2").host == "geo"
