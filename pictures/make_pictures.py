"""Takes the README's pictures of simulated patients: a training's report, runs in MLflow, a patient's explanation.

    make pictures

Needs Chromium with chromedriver (Debian: `chromium chromium-driver`).
"""

from __future__ import annotations

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
            _keep(browser, folder, "report", (1150, 1400), "performance")
            browser.get(_explained_patient(folder).as_uri())
            _keep(browser, folder, "patient", (1150, 1250))
            plan = plan_ui(f"sqlite:///{folder}/mlflow.db", artifacts=folder / "mlartifacts")
            with running_ui(plan):
                _compare_runs(browser, runs_page(plan))
                _keep(browser, folder, "mlflow_compare", (1500, 1100))
        finally:
            browser.quit()


def _explained_patient(folder: Path) -> Path:
    """Page of one patient of another cohort."""
    simulate_cohort(300, 2, setting="metastatic").patients.to_csv(folder / "next.csv", index=False)
    place = folder / "patient.html"
    explain_file(ExplainTask(folder / "next.csv", folder / "with-literature-model", place, patient="SIM-000003"))
    return place


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


def _keep(browser: webdriver.Chrome, folder: Path, name: str, size: tuple[int, int], section: str = "") -> None:
    browser.set_window_size(*size)
    if section:
        browser.execute_script(f"document.getElementById('{section}').scrollIntoView()")
    time.sleep(1)
    taken = folder / f"{name}.png"
    browser.save_screenshot(str(taken))
    with Image.open(taken) as picture:
        picture.convert("RGB").quantize(COLOURS).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
