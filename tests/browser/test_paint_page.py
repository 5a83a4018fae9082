"""`spade-edu paint` in a real browser."""

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from canvas_hands import NextPicture, choose_class, pixels, stroke

COMMAND = [sys.executable, "-m", "spade_edu"]
FILE = str(Path(__file__).parents[2] / "solutions" / "my_spade.py")


@contextmanager
def painting(*options):
    """`spade-edu paint`, for as long as it is wanted."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a process that nohup started would ignore Ctrl-C
    process = subprocess.Popen([*COMMAND, "paint", *options], stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    yield process
    process.kill()
    process.wait()


def opened(page, process):
    page.goto(re.search(r"http://\S+", process.stdout.readline())[0])
    view = page.get_by_role("region", name="Painter")
    view.wait_for()
    return view


def test_a_student_paints_with_a_file_of_their_own(page, tmp_path):
    run = str(tmp_path / "run")
    train = ["train", "--preset", "test", "--data", "streets", "--set", "images=4", "--set", "init_gain=1"]
    train += ["--code", FILE, "--out", run]
    subprocess.run([*COMMAND, *train], check=True, capture_output=True, timeout=300)
    with painting("--run", run, "--code", FILE) as process:
        view = opened(page, process)
        before = pixels(view.locator(".se-picture"))
        choose_class(view, "car")
        with NextPicture(view.locator(".se-picture")):
            stroke(view, (0.3, 0.8), (0.5, 0.8))
        assert (pixels(view.locator(".se-picture")) != before).any()


@pytest.fixture(scope="module")
def program():
    with painting() as process:
        yield process


@pytest.fixture(scope="module")
def painter(program, page):
    return opened(page, program)


def test_a_stroke_makes_a_picture(painter):
    img = painter.locator(".se-picture")
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
    with NextPicture(painter.locator(".se-picture")):
        painter.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.95)
    assert 1 < (pixels(paper) != before).any(-1).sum() < 100


def test_each_picture_and_control_has_a_name(painter):
    assert painter.locator(".se-picture").get_attribute("alt").startswith("Picture generated from: ")
    nameless = painter.locator("button, input, [role=application]").evaluate_all(
        "all => all.filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert nameless == 0


def test_a_stopped_program_is_announced(painter, program):
    program.send_signal(signal.SIGINT)
    assert program.wait(30) == 130
    stroke(painter, (0.3, 0.8), (0.5, 0.8))
    painter.locator(".se-status").filter(has_text="The program is gone").wait_for()
