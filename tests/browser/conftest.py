"""Chromium and JupyterLab, started once; without a browser these tests are skipped, or fail where one is required."""

import os

import pytest
from lab_server import FLAGS, Lab, find_browser

REQUIRED = os.environ.get("SPADE_EDU_BROWSER") == "required"  # set in CI


def missing(line: str) -> None:
    (pytest.fail if REQUIRED else pytest.skip)(f"No browser tests: {line}")


@pytest.fixture(scope="session")
def browser():
    path = find_browser()
    if path is None:
        missing("no Chromium found (Debian and Ubuntu: apt-get install chromium).")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed (pip install playwright).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        missing("jupyterlab is not installed (pip install jupyterlab).")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def page(browser):
    """A page that fails its tests' module if a script in it failed."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, has_touch=True)
    page, errors = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
