"""The site: nothing is missing, every link holds, and in a browser that reaches no other host it is all there."""

import html
import re
import subprocess
import sys
import tomllib
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(p for folder in ("notebooks", "exercises", "solutions") for p in (ROOT / folder).glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
LOOKED_AT = ["index", "notebooks/03_spade_layer", "exercises/03_spade_layer", "api/normalization", "docs/data"]
# How each formula that is wider than its place moves.
WAYS = """formulas => formulas.filter((formula) => formula.scrollWidth > formula.clientWidth)
  .map((formula) => getComputedStyle(formula).overflowX)"""

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a built page links to, what it loads, its anchors, and how deep each fold of it stands when it is closed."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors, self.open, self.folds = [], [], set(), [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loaded += [given[name] for name in ("src", "href") if tag != "a" and given.get(name)]
        if tag in ("details", "div", "section", "article"):
            self.open.append(tag)
        if tag == "details" and "open" not in given:
            self.folds += 1

    def handle_endtag(self, tag):
        if tag in ("details", "div", "section", "article"):
            assert self.open.pop() == tag, "a fold that isn't closed where it was opened"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if find_spec("sphinx") is None:
        pytest.skip('No tests of the site: Sphinx is not installed (pip install -e ".[site]").')
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, ROOT / "tools" / "build_site.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site):
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]  # the theme's own pieces
    return {path: Page(path) for path in paths}


def test_every_link_and_anchor_holds(site, pages):
    broken = []
    for path, page in pages.items():
        for link in {*page.links, *page.loaded}:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                assert re.fullmatch(r"[\w.-]+\.\w+", parts.netloc), link
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append((str(path.relative_to(site)), link))
    assert len(pages) > 60 and sum(len(page.links) for page in pages.values()) > 5000
    assert broken == []


def test_nothing_comes_from_another_host(site, pages):
    assert {link for page in pages.values() for link in page.loaded if urlsplit(link).netloc} == set()
    for path in site.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", path.read_text(encoding="utf-8"))
        assert [link for link in loaded if re.match("(https?:)?//", link)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_notebook(path, site, pages):
    """Its answers are folded, its pictures are there, a widget is a still picture with a line."""
    built = (site / path.relative_to(ROOT)).with_suffix(".html")
    cells = nbformat.read(path, as_version=4).cells
    texts = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    page = pages[built]
    assert page.folds == texts.count("<details>")
    assert len([link for link in page.loaded if "_images/" in link]) >= sum("image/png" in d for d in data)
    shown = built.read_text(encoding="utf-8")
    assert shown.count("A still picture:") == sum(WIDGET in d for d in data)
    assert "colab-badge" not in shown and WIDGET not in shown


def test_every_formula_of_the_docstrings_is_drawn(site):
    shown = html.unescape("".join(path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html")))
    formulas = tomllib.loads((ROOT / "docs" / "site" / "formulas.toml").read_text(encoding="utf-8"))
    assert [text for text, drawn in formulas.items() if " ".join(drawn.split()) not in " ".join(shown.split())] == []


@pytest.fixture(scope="module")
def address(site):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def alone(page, address):
    """A browser's page that reaches the site and nothing else; nothing else is asked for."""
    refused = []

    def answer(route):
        here = route.request.url.startswith((address, "data:", "blob:"))
        return route.continue_() if here else (refused.append(route.request.url), route.abort())

    page.route("**/*", answer)
    yield page
    page.unroute("**/*")
    assert refused == []


def test_a_formula_is_drawn(alone, address):
    alone.goto(f"{address}/api/normalization.html#spade_edu.normalization.SPADE")
    formula = alone.locator("mjx-container svg").first
    formula.wait_for()
    assert formula.bounding_box()["width"] > 20


def test_a_search_finds_the_course_and_no_solution(alone, address):
    alone.goto(f"{address}/search.html?q=nearest_resize")
    alone.locator("#search-results .search a, #search-results ul.search a").first.wait_for()
    found = alone.locator("#search-results ul.search a").evaluate_all("links => links.map((link) => link.href)")
    assert any("/exercises/03_spade_layer.html" in link for link in found)
    assert [link for link in found if "/solutions/" in link] == []


def test_dark_mode(alone, address):
    alone.emulate_media(color_scheme="light")
    alone.goto(f"{address}/index.html")
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]"
    assert int(alone.evaluate(background)) > 200
    alone.locator(".theme-switch-button:visible").click()
    alone.locator(".theme-change-button[data-mode=dark]:visible").click()
    alone.wait_for_function(f"{background} < 60")


def test_an_answer_opens(alone, address):
    alone.goto(f"{address}/notebooks/03_spade_layer.html")
    answer = alone.locator("details").first
    before = answer.bounding_box()["height"]
    answer.locator("summary").click()
    assert answer.bounding_box()["height"] > before + 10


@pytest.mark.parametrize("width", [1280, 800, 390])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_no_page_is_wider_than_the_window(alone, address, name, width):
    alone.set_viewport_size({"width": width, "height": 900})
    alone.goto(f"{address}/{name}.html")
    assert alone.evaluate("document.documentElement.scrollWidth") <= width


def test_a_long_formula_scrolls_on_a_phone(alone, address):
    alone.set_viewport_size({"width": 390, "height": 900})
    alone.goto(f"{address}/api/losses.html")
    alone.locator("mjx-container svg").last.wait_for()
    ways = alone.locator("span.math").evaluate_all(WAYS)
    assert ways and set(ways) == {"auto"}


def test_next_and_previous(alone, address):
    alone.goto(f"{address}/notebooks/03_spade_layer.html")
    alone.locator("a.right-next").click()
    alone.wait_for_url("**/notebooks/04_uniform_masks.html")
    alone.locator("a.left-prev").click()
    alone.wait_for_url("**/notebooks/03_spade_layer.html")
