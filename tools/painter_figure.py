"""`python tools/painter_figure.py`: paint three strokes in `spade-edu paint` and keep docs/figures/widget_painter.png.

Needs Chromium, as the widgets' tests do.
"""

import io
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
from canvas_hands import NextPicture, choose_class, stroke  # noqa: E402
from lab_server import FLAGS, find_browser  # noqa: E402

STROKES = [  # class, step of the brush slider, points as shares of width and height
    ("terrain", 3, [(0.03, 0.97), (0.15, 0.86), (0.26, 0.72)]),
    ("vegetation", 6, [(0.12, 0.12), (0.1, 0.3)]),
    ("car", 5, [(0.66, 0.72), (0.78, 0.72), (0.78, 0.78), (0.66, 0.78)]),
]


def main() -> None:
    """Start the painter, paint, take the picture."""
    program = subprocess.Popen([sys.executable, "-m", "spade_edu", "paint"], stdout=subprocess.PIPE, encoding="utf-8")
    try:
        address = re.search(r"http://\S+", program.stdout.readline())[0]
        with sync_playwright() as p:
            page = p.chromium.launch(executable_path=find_browser(), args=FLAGS).new_page(
                viewport={"width": 1160, "height": 760}
            )
            page.goto(address)
            painter = page.get_by_role("region", name="Painter")
            paint(painter)
            page.wait_for_function(
                "() => [...document.querySelectorAll('.se-strip img')].every(i => !i.matches('.se-old'))"
            )
            picture = Image.open(io.BytesIO(painter.screenshot())).convert("RGB")
    finally:
        program.terminate()
    picture.quantize(256, dither=Image.Dither.NONE).save(ROOT / "docs/figures/widget_painter.png", optimize=True)


def paint(painter) -> None:
    """Make the strokes; each is over when its picture has come."""
    for name, size, points in STROKES:
        choose_class(painter, name)
        painter.get_by_label("Brush size").fill(str(size))
        with NextPicture(painter.locator(".se-picture")):
            stroke(painter, *points)


if __name__ == "__main__":
    main()
