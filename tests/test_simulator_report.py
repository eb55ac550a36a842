"""The calibration report and the comparison with real cohorts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from features.errors import OutputError
from features.synthetic.anchors import anchors
from features.synthetic.calibration_report import (
    calibration_summary,
    render_calibration_report,
    write_calibration_report,
)
from features.synthetic.findings import published_shares
from features.synthetic.parameters import effects
from features.synthetic.real_marginals import MarginalCheck, compare_marginals


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "calibration.html"
    write_calibration_report(path, worlds=4)
    return path.read_text(encoding="utf-8")


def test_the_report_needs_no_other_file_and_runs_no_script(report: str) -> None:
    assert "<script" not in report
    assert not re.search(r"(src|href)=", report)
    assert "url(" not in report


def test_every_tag_of_the_report_is_closed(report: str) -> None:
    open_tags: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "meta":
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            """A tag that closes itself opens nothing."""

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Balance().feed(report)
    assert open_tags == []


def test_the_report_shows_every_result_with_its_role_and_lists_the_misses(report: str) -> None:
    for anchor in anchors():
        assert report.count(f"<td>{anchor.result}</td>") >= 1
    assert "held out" in report
    assert "without measurable disease" in report
    assert "Within the published 95% interval" in report
    assert "Research use only" in report


def test_the_report_shows_every_effect_and_its_question_marks(report: str) -> None:
    for effect in effects().values():
        assert f"<td>{effect.measure}</td>" in report
    assert report.count('<td class="n unknown">?</td>') > 30


def test_a_real_cohort_s_difference_is_drawn_with_its_interval() -> None:
    check = MarginalCheck("A cohort", "CDK12 <amplified>", 0.674, 0.599, 0.743, 175, 0.9)
    page = render_calibration_report((), (check,), 4)
    assert "67.4% (59.9-74.3)" in page
    assert "CDK12 &lt;amplified&gt;" in page
    assert not check.inside


def test_the_summary_counts_by_quantity_and_role() -> None:
    assert "0 of 0 held-out response rates" in calibration_summary(())


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="its folder does not exist"):
        write_calibration_report(tmp_path / "nowhere" / "r.html", worlds=1)
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_the_worlds_done(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_calibration_report(tmp_path / "r.html", worlds=2, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


def test_published_shares_stand_beside_simulated_ones() -> None:
    shares = {s["what"]: s for s in published_shares()}
    assert shares["CDK12 amplified, given ERBB2 amplified"]["published"] == "90%"
    assert len(shares) >= 20


def test_without_real_cohorts_nothing_is_compared(tmp_path: Path) -> None:
    assert compare_marginals(tmp_path) == ()


@pytest.mark.shared_data
def test_real_cohorts_are_compared_as_they_are(shared_data: Path) -> None:
    checks = {(c.cohort, c.quantity): c for c in compare_marginals(shared_data)}
    amplified = checks["MSK 2018", "ERBB2 amplified, given IHC 3+"]
    assert amplified.real == pytest.approx(0.956, abs=0.001)
    assert amplified.inside
    # A real difference that is shown, not tuned away: the reviews say 90%.
    coamplified = checks["MSK 2018", "CDK12 amplified, given ERBB2 amplified"]
    assert coamplified.real == pytest.approx(0.674, abs=0.001)
    assert coamplified.simulated == pytest.approx(0.90, abs=0.01)
    assert checks["TCGA BRCA", "HR-positive, given IHC 1+"].n == 273
    assert checks["METABRIC", "single-copy loss of ERBB2, given no gain"].n == 1536
