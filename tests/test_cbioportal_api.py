"""Studies by the portal's programming interface, answered by a server on this machine in the documented forms."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import adcr
from features.errors import InputError, OutputError
from features.public import cbioportal_api
from features.public.cbioportal_api import fetch_study
from features.public.fetching import fetch_cohort
from features.public.portal_answers import Profile
from features.public.portal_profiles import one_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Symbol and Entrez id; what else is asked for, this portal does not know.
GENES = {"ERBB2": 2064, "CDK12": 51755, "PIK3CA": 5290, "SLX4": 84464}
SAMPLES = [f"S{i}" for i in range(12)]
STUDY = "tiny_2024"


def clinical(kind: str) -> list[dict[str, str]]:
    """Long rows, as the portal sends them."""
    rows = []
    for number, sample in enumerate(SAMPLES):
        about = {"patientId": f"P{number}"} | ({"sampleId": sample} if kind == "SAMPLE" else {})
        facts = {"HER2_IHC_SCORE": str(number % 4)} if kind == "SAMPLE" else {"AGE": str(40 + number)}
        rows += [{**about, "clinicalAttributeId": name, "value": value} for name, value in facts.items()]
    return rows


def fetched(path: str, body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Answer on a molecular profile."""
    assert set(body.get("entrezGeneIds", [])) <= set(GENES.values())
    change = {"mutationType": "Missense_Mutation", "proteinChange": "H1047R"}
    silent = {"mutationType": "Silent", "proteinChange": "L10L"}
    calls = {"S0": 2, "S1": -1, "S2": -2}
    copies = [("ERBB2", sample, calls.get(sample, 0)) for sample in SAMPLES] + [("CDK12", s, 0) for s in SAMPLES]
    return {
        "discrete-copy-number": [{"entrezGeneId": GENES[g], "sampleId": s, "alteration": c} for g, s, c in copies],
        "mutations": [{"entrezGeneId": 5290, "sampleId": s, **v} for s, v in (("S3", change), ("S4", silent))],
        "molecular-data": [{"entrezGeneId": 2064, "sampleId": s, "value": 100.0 * 2**i} for i, s in enumerate(SAMPLES)],
        "gene-panel-data": [
            {"sampleId": s, "genePanelId": "SMALL" if i < 6 else None, "profiled": s != "S11"}
            for i, s in enumerate(SAMPLES)
        ],
    }.get(path.split("/")[2])


def answer(path: str, query: dict[str, list[str]], body: Any) -> Any:
    """Answer of the portal, or None for 404."""
    if path == f"studies/{STUDY}/clinical-data":
        size, page = int(query["pageSize"][0]), int(query["pageNumber"][0])
        return clinical(query["clinicalDataType"][0])[page * size : (page + 1) * size]
    if path == "genes/fetch":
        return [{"entrezGeneId": GENES[s], "hugoGeneSymbol": s} for s in body if s in GENES]
    if path.startswith("molecular-profiles/"):
        return fetched(path, body)
    profiles = [
        (f"{STUDY}_gistic", "COPY_NUMBER_ALTERATION", "DISCRETE"),
        (f"{STUDY}_mutations", "MUTATION_EXTENDED", "MAF"),
        (f"{STUDY}_rna_seq_v2_mrna_median_Zscores", "MRNA_EXPRESSION", "Z-SCORE"),
        (f"{STUDY}_rna_seq_v2_mrna", "MRNA_EXPRESSION", "CONTINUOUS"),
        (f"{STUDY}_methylation", "METHYLATION", "CONTINUOUS"),
    ]
    return {
        f"studies/{STUDY}": {"studyId": STUDY, "name": "Tiny\tstudy", "citation": "Nobody et al. 2024"},
        f"studies/{STUDY}/molecular-profiles": [
            {"molecularProfileId": i, "molecularAlterationType": k, "datatype": d} for i, k, d in profiles
        ],
        f"studies/{STUDY}/sample-lists": [{"sampleListId": f"{STUDY}_{n}"} for n in ("all", "sequenced")],
        f"sample-lists/{STUDY}_sequenced/sample-ids": SAMPLES[:-1],
        "gene-panels/SMALL": {"genePanelId": "SMALL", "genes": [{"hugoGeneSymbol": g} for g in ("ERBB2", "PIK3CA")]},
    }.get(path)


class Portal:
    """The server; a path that holds `broken` is answered with `sent`."""

    def __init__(self) -> None:
        self.broken, self.asked = "", 0
        self.questions: Counter[str] = Counter()
        self.without_panels = False
        self.sent: bytes = b"<html>log in</html>"
        portal = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                portal.reply(self, None)

            def do_POST(self) -> None:
                portal.reply(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def reply(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        self.asked += 1
        parts = urlsplit(request.path)
        path = parts.path.removeprefix("/api/")
        self.questions[path] += 1
        found = answer(path, parse_qs(parts.query), body)
        if self.without_panels and "gene-panel-data" in path:
            found = []
        content = self.sent if self.broken and self.broken in path else json.dumps(found).encode()
        request.send_response(404 if found is None else 200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    found = Portal()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ADCR_HOST_CBIOPORTAL_API", found.url)
    # Small pages, so that there are several.
    monkeypatch.setattr(cbioportal_api, "PAGE_ROWS", 5)
    yield found
    found.http.shutdown()
    found.http.server_close()


def test_a_study_is_asked_for_page_by_page_and_read_like_any_other(portal: Portal, tmp_path: Path) -> None:
    output = tmp_path / "tiny.csv"
    patients = fetch_cohort(f"cbioportal:{STUDY}", output, by_api=True, folder=tmp_path / "cache").patients
    patients = patients.set_index("patient_id")
    assert len(patients) == len(SAMPLES)
    assert patients.loc[[f"P{i}" for i in range(12)], "age_years"].tolist() == [40.0 + i for i in range(12)]
    assert patients.loc[["P0", "P1", "P2", "P3"], "her2_ihc"].tolist() == ["0", "1+", "2+", "3+"]
    assert patients.loc[["P0", "P1", "P2", "P3"], "erbb2_deletion"].tolist() == [
        "none",
        "hemizygous",
        "homozygous",
        "none",
    ]
    assert patients.loc["P0", "erbb2_amplified"] == 1.0
    # A silent variant is left out; who was not profiled is unknown; SLX4 is not on the panel of the first six.
    assert patients["pik3ca_mutated"].sum() == 1.0
    assert patients.loc["P3", "pik3ca_mutated"] == 1.0
    assert patients["pik3ca_mutated"].isna().sum() == 1
    assert patients["slx4_mutated"].isna().tolist() == [
        p in {"P0", "P1", "P2", "P3", "P4", "P5", "P11"} for p in patients.index
    ]
    by_number = patients.loc[[f"P{i}" for i in range(12)], "erbb2_mrna_z"]
    assert by_number.is_monotonic_increasing
    assert by_number.mean() == pytest.approx(0.0, abs=1e-6)
    assert "Nobody et al. 2024" in output.with_name("tiny.csv.licence.txt").read_text(encoding="utf-8")


def test_a_study_that_was_asked_for_is_not_asked_for_again(portal: Portal, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        fetch_cohort(f"cbioportal:{STUDY}", tmp_path / name, by_api=True, folder=tmp_path / "cache")
    asked = portal.asked
    fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "c.csv", by_api=True, folder=tmp_path / "cache", offline=True)
    assert portal.asked == asked
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


@pytest.mark.parametrize(
    ("study", "broken", "told"),
    [("nothing_2020", "", "answered 404"), (STUDY, "mutations/fetch", "something else than JSON")],
)
def test_a_failing_portal_is_told_in_one_line_and_leaves_no_folder(
    portal: Portal, tmp_path: Path, study: str, broken: str, told: str
) -> None:
    portal.broken = broken
    with pytest.raises(InputError, match=told) as error:
        fetch_cohort(f"cbioportal:{study}", tmp_path / "x.csv", by_api=True, folder=tmp_path / "cache", first_wait=0.01)
    assert "\n" not in str(error.value)
    assert "by hand" in str(error.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.mark.parametrize("path", ["studies/tiny", "clinical-data", "sample-lists", "genes/fetch", "copy-number/fetch"])
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b'{"error":"rate"}', "a message instead of data on .*: 'rate'"),
        (b'[{"error":"rate"}]', "another form than documented"),
        (b"[1, 2]", "another form than documented"),
        (b'"busy"', "another form than documented"),
        (b"\xff\xfe", "something else than JSON"),
    ],
)
def test_an_answer_of_another_form_is_refused_in_one_line(
    portal: Portal, tmp_path: Path, path: str, sent: bytes, told: str
) -> None:
    portal.broken, portal.sent = path, sent
    if path == "studies/tiny" and sent.startswith(b"{"):
        # A study may say nothing of itself; the next question is what is refused.
        portal.broken = "molecular-profiles"
    with pytest.raises(InputError, match=told) as error:
        fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "x.csv", by_api=True, folder=tmp_path / "cache", first_wait=0.01)
    assert "\n" not in str(error.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.mark.parametrize("nested", ["", STUDY])
@pytest.mark.parametrize("about", [True, False])
def test_a_study_folder_put_there_by_hand_is_read(portal: Portal, tmp_path: Path, nested: str, about: bool) -> None:
    cache = tmp_path / "cache"
    fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "a.csv", by_api=True, folder=cache)
    made = cache / STUDY / "api"
    if not about:
        (made / "meta_study.txt").unlink()
    if nested:
        made.rename(cache / "moved")
        made.mkdir()
        (cache / "moved").rename(made / nested)
    asked = portal.asked
    fetched = fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "b.csv", by_api=True, folder=cache)
    assert len(fetched.patients) == len(SAMPLES)
    assert portal.asked == asked


def test_a_folder_that_holds_no_study_is_told_before_anything_is_asked(portal: Portal, tmp_path: Path) -> None:
    place = tmp_path / "cache" / STUDY / "api"
    place.mkdir(parents=True)
    fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "a.csv", by_api=True, folder=tmp_path / "cache")
    asked = portal.asked
    (place / "meta_study.txt").unlink()
    (place / "data_clinical_sample.txt").unlink()
    with pytest.raises(InputError, match=r"it holds no study\. Put one study's files into it"):
        fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "b.csv", by_api=True, folder=tmp_path / "cache")
    assert portal.asked == asked


def test_two_fetches_of_a_study_at_once_ask_once(portal: Portal, tmp_path: Path) -> None:
    place = tmp_path / "cache" / STUDY / "api"
    threads = [threading.Thread(target=fetch_study, args=(STUDY, place, portal.url)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert portal.questions[f"studies/{STUDY}"] == 1
    assert sorted(p.name for p in place.parent.iterdir()) == [".api.lock", "api"]


def test_a_study_that_cannot_be_read_leaves_the_cache(portal: Portal, tmp_path: Path) -> None:
    portal.broken, portal.sent = "clinical-data", b"[]"
    with pytest.raises(InputError, match=rf"cannot be read: .*Removed from the cache: .*{STUDY}") as error:
        fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "x.csv", by_api=True, folder=tmp_path / "cache")
    assert "\n" not in str(error.value)
    portal.broken = ""
    fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "x.csv", by_api=True, folder=tmp_path / "cache")


def test_an_unwritable_cache_is_told_in_one_line(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(OutputError, match="the cache cannot be used: "):
        fetch_cohort(f"cbioportal:{STUDY}", tmp_path / "x.csv", by_api=True, folder=tmp_path / "cache")


@pytest.mark.parametrize("with_panels", [True, False])
def test_a_gene_that_the_portal_does_not_know_is_missing_not_wild_type(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_panels: bool
) -> None:
    monkeypatch.delitem(GENES, "SLX4")
    portal.without_panels = not with_panels
    output = tmp_path / "tiny.csv"
    patients = fetch_cohort(f"cbioportal:{STUDY}", output, by_api=True, folder=tmp_path / "cache").patients
    assert "slx4_mutated" not in patients or patients["slx4_mutated"].isna().all()
    assert "tp53_mutated" not in patients or patients["tp53_mutated"].isna().all()
    # S11 was not sequenced; every other sample was looked at for the genes that the portal knows.
    assert patients.set_index("patient_id")["pik3ca_mutated"].isna().sum() == 1
    panel = tmp_path / "cache" / STUDY / "api" / "data_gene_panel_ADCR_ASKED.txt"
    assert panel.read_text(encoding="utf-8").splitlines()[1] == "gene_list: CDK12\tERBB2\tPIK3CA"


def test_rna_seq_goes_before_arrays_and_values_before_z_scores() -> None:
    names = ["t_mrna", "t_mrna_u133", "t_rna_seq_mrna", "t_rna_seq_v2_mrna", "t_mirna"]
    values = [Profile(name, "MRNA_EXPRESSION", "CONTINUOUS") for name in names]
    scores = [Profile(f"{name}_Zscores", "MRNA_EXPRESSION", "Z-SCORE") for name in names]
    chosen = []
    profiles = [*scores, *values]
    while found := one_of_each(profiles):
        chosen.append(found["expression"])
        profiles = [p for p in profiles if p.molecular_profile_id != chosen[-1]]
    order = ["t_rna_seq_v2_mrna", "t_rna_seq_mrna", "t_mrna", "t_mrna_u133"]
    assert chosen == [*order, *(f"{name}_Zscores" for name in order)]


def test_the_command_takes_the_interface_by_an_option(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert adcr.main(["cohort", "fetch", f"cbioportal:{STUDY}", "--api", "-o", str(tmp_path / "t.csv")]) == 0
    assert "12 valid" in capsys.readouterr().out
    assert adcr.main(["cohort", "fetch", "nct02326974", "--api", "-o", str(tmp_path / "t.csv")]) == 2
    assert "no study of cBioPortal" in capsys.readouterr().err
