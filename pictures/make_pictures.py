"""Takes the README's pictures of simulated patients: a training's report, runs in MLflow, explanations.

    make pictures

Needs Chromium with chromedriver (Debian: `chromium chromium-driver`).
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from features.synthetic.cohort import simulate_cohort
from serving.explaining.explain_file import ExplainTask, explain_file
from serving.tracking_ui import plan_ui, running_ui, runs_page
from training.training_session import TrainingRequest, find_model_script, train_file

HERE = Path(__file__).resolve().parent
COLOURS = 128
#: One who lacks some biomarkers.
PATIENT = "SIM-000003"


def main() -> None:
    """Train twice on a simulated cohort, look at what came of it, and keep the pictures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        simulate_cohort(450, 1, setting="metastatic").patients.to_csv(folder / "cohort.csv", index=False)
        os.chdir(folder)
        for prior, name in ((False, "cohort-alone"), (True, "with-literature")):
            request = TrainingRequest(
                folder / "cohort.csv", "objective_response", find_model_script(), name=name, prior=prior,
                report=folder / name, output=folder / f"{name}-model",
            )  # fmt: skip
            train_file(request)
        browser = _browser()
        try:
            browser.get((folder / "with-literature" / "report.html").as_uri())
            _keep_part(browser, folder, "report", "#performance", "#calibration")
            cohort, patient = _explained(folder)
            browser.get(cohort.as_uri())
            _keep_part(browser, folder, "cohort", "#values h2", "#values figure:nth-of-type(6)")
            browser.get(patient.as_uri())
            _keep_part(browser, folder, "patient", "header", "#reasons")
            plan = plan_ui(f"sqlite:///{folder}/mlflow.db", artifacts=folder / "mlartifacts")
            with running_ui(plan):
                _compare_runs(browser, runs_page(plan))
                _keep(browser, folder, "mlflow_compare", (1500, 1100))
        finally:
            browser.quit()


def _explained(folder: Path) -> tuple[Path, Path]:
    """Pages of another cohort, and of one of its patients."""
    simulate_cohort(300, 2, setting="metastatic").patients.to_csv(folder / "next.csv", index=False)
    pages = folder / "cohort.html", folder / "patient.html"
    for place, patient in zip(pages, (None, PATIENT), strict=True):
        explain_file(ExplainTask(folder / "next.csv", folder / "with-literature-model", place, patient=patient))
    return pages


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-proxy-server"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def _compare_runs(browser: webdriver.Chrome, address: str) -> None:
    browser.set_window_size(1500, 1100)
    browser.get(address)
    time.sleep(8)
    for box in browser.find_elements(By.CSS_SELECTOR, ".ag-row input[aria-label*='toggle row selection']")[:2]:
        browser.execute_script("arguments[0].click()", box)
    time.sleep(1)
    for button in browser.find_elements(By.TAG_NAME, "button"):
        if button.text == "Compare":
            browser.execute_script("arguments[0].click()", button)
            break
    time.sleep(8)
    # The assistant's panel hides a third of the page.
    for close in browser.find_elements(By.CSS_SELECTOR, "[data-component-id='mlflow.assistant.chat_panel.close']"):
        close.click()
    time.sleep(2)


def _keep_part(browser: webdriver.Chrome, folder: Path, name: str, first: str, last: str) -> None:
    """Keep what lies from the top of one element of a page to the bottom of another, whole."""
    browser.set_window_size(1150, 1200)
    time.sleep(1)
    ends = "return arguments[0].map(s => document.querySelector(s).getBoundingClientRect()).map(r => [r.top, r.bottom])"
    (top, _), (_, bottom) = browser.execute_script(ends, [first, last])
    clip = {"x": 0, "y": max(0.0, top - 8), "width": 1150, "height": bottom - top + 16, "scale": 1}
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
    )
    (folder / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))
    _store(folder, name)


def _keep(browser: webdriver.Chrome, folder: Path, name: str, size: tuple[int, int]) -> None:
    browser.set_window_size(*size)
    time.sleep(1)
    browser.save_screenshot(str(folder / f"{name}.png"))
    _store(folder, name)


def _store(folder: Path, name: str) -> None:
    with Image.open(folder / f"{name}.png") as picture:
        picture.convert("RGB").quantize(COLOURS).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
