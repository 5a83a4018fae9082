"""`spade-edu paint` in a real browser."""

import re
import signal
import subprocess
import sys

import pytest
import torch
from canvas_hands import NextPicture, choose_class, pixels, stroke


@pytest.fixture(scope="module")
def program():
    process = subprocess.Popen([sys.executable, "-m", "spade_edu", "paint"], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def painter(program, page):
    page.goto(re.search(r"http://\S+", program.stdout.readline())[0])
    view = page.get_by_role("region", name="Painter")
    view.wait_for()
    return view


def test_a_stroke_makes_a_picture(painter):
    img = painter.locator("img")
    before = pixels(img)
    choose_class(painter, "car")
    with NextPicture(img):
        stroke(painter, (0.3, 0.8), (0.5, 0.8))
    assert (pixels(img) - before).abs().max() > 20
    with NextPicture(img):
        painter.get_by_role("button", name="Undo").click()
    assert torch.equal(pixels(img), before)


def test_a_finger_paints(painter):
    paper = painter.locator(".se-paper")
    choose_class(painter, "sky")
    before, box = pixels(paper), painter.locator(".se-overlay").bounding_box()
    with NextPicture(painter.locator("img")):
        painter.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.95)
    assert 1 < (pixels(paper) != before).any(-1).sum() < 100


def test_each_picture_and_control_has_a_name(painter):
    assert painter.locator("img").get_attribute("alt").startswith("Picture generated from: ")
    nameless = painter.locator("button, input, [role=application]").evaluate_all(
        "all => all.filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert nameless == 0


def test_a_stopped_program_is_announced(painter, program):
    program.send_signal(signal.SIGINT)
    assert program.wait(30) == 130
    stroke(painter, (0.3, 0.8), (0.5, 0.8))
    painter.locator(".se-status").filter(has_text="The program is gone").wait_for()
