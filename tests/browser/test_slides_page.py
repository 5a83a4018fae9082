"""tools/slides.py in a real browser: nothing is cut off, keys move, a prediction comes before its result."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
SMALLEST, LOWEST = 15, 150  # letters and pictures, in pixels of 1280 x 720

FITS = """() => slides.map((slide, number) => {
  go(number);
  const pictures = [...slide.querySelectorAll(".shown > img")];
  const drawn = (p) => Math.min(p.clientHeight, p.clientWidth * p.naturalHeight / p.naturalWidth);
  return [fit(slide), Math.min(...pictures.map(drawn), 999)];
})"""


def test_slides(page, tmp_path):
    import slides

    file, asked = tmp_path / "slides.html", []
    file.write_text(slides.page(sorted(slides.SOURCES.glob("[0-9][0-9]_*.ipynb"))), encoding="utf-8")
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(file.as_uri())
    sizes = page.evaluate(FITS)
    assert len(sizes) > 150
    assert [n for n, (letters, picture) in enumerate(sizes) if letters < SMALLEST or picture < LOWEST] == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []

    page.evaluate("go(0)")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("now") == 1 and page.url.endswith("#1")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("now") == 0
    guess = page.evaluate("slides.findIndex((slide) => slide.querySelector('.guess'))")
    page.evaluate(f"go({guess})")
    assert not page.locator("section.now .shown").is_visible()
    page.keyboard.press("Space")
    assert page.locator("section.now .shown").is_visible() and page.evaluate("now") == guess
    page.keyboard.press("Space")
    assert page.evaluate("now") == guess + 1
