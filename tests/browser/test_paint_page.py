"""`spade-edu paint` in a real browser."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from canvas_hands import NextPicture, choose_class, pixels, stroke
from PIL import Image

from spade_edu.data import Streets

COMMAND = [sys.executable, "-m", "spade_edu"]
FILE = str(Path(__file__).parents[2] / "solutions" / "my_spade.py")


@contextmanager
def painting(*options, home=None):
    """`spade-edu paint`, for as long as it is wanted; its token is kept under `home`."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a process that nohup started would ignore Ctrl-C
    environment = os.environ | ({"HOME": str(home)} if home else {})
    process = subprocess.Popen([*COMMAND, "paint", *options], stdout=subprocess.PIPE, text=True, env=environment)
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
    with painting("--port", "0") as process:
        yield process


@pytest.fixture(scope="module")
def painter(program, page):
    return opened(page, program)


@pytest.fixture
def fresh(painter):
    """The painter on scene 0, without what earlier tests painted."""
    painter.page.reload()
    painter.wait_for()
    load(painter, 1)
    load(painter, 0)
    return painter


def load(view, scene: int) -> None:
    view.get_by_label("Scene of the data set").fill(str(scene))
    view.get_by_label("Scene of the data set").press("Enter")
    view.locator(".se-stage[aria-busy=false]").wait_for()


def scene_of(view) -> str:
    return view.get_by_label("Scene of the data set").input_value()


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
    assert painter.get_by_role("button", name="Undo").evaluate("e => e === document.activeElement")  # not lost


def test_a_finger_paints(painter):
    paper = painter.locator(".se-paper")
    choose_class(painter, "sky")
    before, box = pixels(paper), painter.locator(".se-overlay").bounding_box()
    with NextPicture(painter.locator(".se-picture")):
        painter.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.95)
    assert 1 < (pixels(paper) != before).any(-1).sum() < 100


@pytest.fixture
def fingers(fresh):
    """touch(kind, *points): fingers at points, in shares of the canvas."""
    session = fresh.page.context.new_cdp_session(fresh.page)
    box = fresh.locator(".se-stage").bounding_box()

    def touch(kind, *points):
        places = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": i}
            for i, (x, y) in enumerate(points)
        ]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": places})

    return touch


def test_a_palm_that_rests_on_the_map_neither_paints_nor_moves_the_stroke(fresh, fingers):
    choose_class(fresh, "car")
    before = pixels(fresh.locator(".se-paper"))
    painted = []
    for palm in ((), ((0.9, 0.1),)):
        with NextPicture(fresh.locator(".se-picture")):
            fingers("Start", (0.3, 0.8))
            fresh.page.wait_for_timeout(400)  # a palm comes later than a second finger of a gesture
            if palm:
                fingers("Start", (0.3, 0.8), *palm)
            fingers("Move", (0.4, 0.8), *palm)
            fingers("End", *palm)
            if palm:
                fingers("End")
        painted.append((pixels(fresh.locator(".se-paper")) != before).any(-1))
        fresh.get_by_role("button", name="Undo").click()
        fresh.page.wait_for_timeout(300)
    assert painted[0].any() and torch.equal(*painted)


def test_two_fingers_zoom_and_paint_nothing(fresh, fingers):
    before = pixels(fresh.locator(".se-paper"))
    width = fresh.locator(".se-overlay").bounding_box()["width"]
    fingers("Start", (0.45, 0.5), (0.55, 0.5))  # at once: a slow machine would make the second a palm
    fingers("Move", (0.4, 0.5), (0.6, 0.5))
    fingers("End")
    assert fresh.locator(".se-overlay").bounding_box()["width"] == pytest.approx(2 * width, rel=0.05)
    assert torch.equal(pixels(fresh.locator(".se-paper")), before)
    fresh.get_by_role("button", name="Whole map").click()
    assert fresh.locator(".se-overlay").bounding_box()["width"] == pytest.approx(width, rel=0.01)


def test_a_near_view_follows_the_cursor_and_the_middle_button(fresh):
    stage, overlay, tip = (fresh.locator(css) for css in (".se-stage", ".se-overlay", ".se-tip"))
    before, room = pixels(fresh.locator(".se-paper")), stage.bounding_box()
    stage.focus()
    for key in ("ArrowRight", "z", "z", "z", "z", *["ArrowRight"] * 25):
        stage.press(key)
    left = overlay.bounding_box()["x"]
    assert left < room["x"] - room["width"]  # more than half of the map lies to the left of what is seen
    seen = tip.bounding_box()
    assert room["x"] <= seen["x"] <= room["x"] + room["width"]
    assert seen["height"] < 40  # letters stay as they are in the nearer view
    mouse = fresh.page.mouse
    mouse.move(room["x"] + 50, room["y"] + 50)
    mouse.down(button="middle")
    mouse.move(room["x"] + 150, room["y"] + 50, steps=3)
    mouse.up(button="middle")
    assert overlay.bounding_box()["x"] == pytest.approx(left + 100, abs=2)
    assert torch.equal(pixels(fresh.locator(".se-paper")), before)
    fresh.get_by_role("button", name="Whole map").click()


def test_letters_grow_in_full_screen(fresh):
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    before = fresh.evaluate(size)
    fresh.get_by_role("button", name="Full screen").click()
    fresh.page.wait_for_function("() => document.fullscreenElement")
    assert fresh.evaluate(size) >= 1.3 * before
    fresh.page.evaluate("() => document.exitFullscreen()")
    fresh.page.wait_for_function("() => !document.fullscreenElement")


def test_scenes_do_what_one_expects(fresh):
    field, line = fresh.get_by_label("Scene of the data set"), fresh.locator(".se-status")
    fresh.page.reload()
    assert scene_of(fresh) == "0"
    with NextPicture(fresh.locator(".se-picture")):
        fresh.get_by_role("button", name="Next").click()
    assert scene_of(fresh) == "1"
    before = pixels(fresh.locator(".se-paper"))
    field.fill("")
    field.press("Enter")
    assert scene_of(fresh) == "1"
    field.fill("500")
    field.press("Enter")
    line.filter(has_text="from 0 to 199").wait_for()
    assert scene_of(fresh) == "1" and torch.equal(pixels(fresh.locator(".se-paper")), before)
    with NextPicture(fresh.locator(".se-picture")):
        fresh.get_by_role("button", name="Previous").click()
    assert scene_of(fresh) == "0"


def test_keys_stay_with_their_classes_and_unseen_classes_are_marked(fresh):
    keys = [fresh.get_by_role("radio", name="car").first.get_attribute("title")]
    load(fresh, 7)
    keys.append(fresh.get_by_role("radio", name="car").first.get_attribute("title"))
    assert keys[0] == keys[1]
    fresh.get_by_text("Other classes").click()
    for name in ("train", "motorcycle"):
        assert "training pictures" in fresh.get_by_role("radio", name=name).get_attribute("title")


def test_what_is_painted_in_two_tabs_stays(fresh):
    other_page = fresh.page.context.new_page()
    other_page.goto(fresh.page.url)
    other = other_page.get_by_role("region", name="Painter")
    other.wait_for()
    choose_class(fresh, "car")
    with NextPicture(fresh.locator(".se-picture")):
        stroke(fresh, (0.2, 0.9), (0.3, 0.9))
    choose_class(other, "bus")
    with NextPicture(other.locator(".se-picture")):
        stroke(other, (0.7, 0.9), (0.8, 0.9))
    colours = pixels(other.locator(".se-paper")).reshape(-1, 3)
    for colour in ((0, 0, 142), (0, 60, 100)):
        assert (colours == torch.tensor(colour)).all(-1).sum() > 20
    load(other, 4)
    fresh.page.evaluate("window.dispatchEvent(new Event('focus'))")  # somebody comes back to this tab
    for _ in range(100):
        if scene_of(fresh) == "4":
            break
        fresh.page.wait_for_timeout(50)
    assert scene_of(fresh) == "4"
    with NextPicture(fresh.locator(".se-picture")):
        fresh.get_by_role("button", name="Undo").click()  # what the other tab has replaced
    assert scene_of(fresh) == "0"
    other_page.close()


def test_looks_are_chosen_at_a_glance_and_pictures_give_theirs(fresh, tmp_path):
    looks = fresh.get_by_role("radiogroup", name="Look").get_by_role("radio")
    assert looks.all_text_contents()[:5] == ["day", "dusk", "night", "overcast", "snow"]
    fresh.page.wait_for_function("() => [...document.querySelectorAll('.se-strip img')].every(i => i.naturalWidth)")
    shown = []
    for name in ("day", "night"):
        looks.filter(has_text=name).click()
        fresh.get_by_role("radio", name=name, checked=True).wait_for()
        fresh.page.wait_for_timeout(300)
        shown.append(pixels(fresh.locator(".se-picture")).float().mean())
    assert shown[0] > shown[1] + 30  # the night is dark
    looks.filter(has_text="night").press("ArrowRight")
    fresh.get_by_role("radio", name="overcast", checked=True).wait_for()
    assert looks.filter(has_text="overcast").evaluate("e => e === document.activeElement")
    Image.fromarray(Streets(1, split="test", style="night").scene(0).image).save(tmp_path / "evening.png")
    fresh.get_by_label("Style of a picture").set_input_files(tmp_path / "evening.png")
    fresh.get_by_role("radio", name="evening", checked=True).wait_for()
    fresh.page.wait_for_timeout(300)
    assert pixels(fresh.locator(".se-picture")).float().mean() < shown[0] - 30


def test_objects_are_placed_by_click_and_by_keyboard(fresh):
    """The offered ones come from the data set; one undo takes each off again."""
    stamps = fresh.get_by_role("radiogroup", name="Stamps")
    stamps.get_by_role("radio").nth(3).wait_for(timeout=60_000)
    assert stamps.get_by_role("radio").all_text_contents() == ["Car", "Bus", "Person", "Tree"]
    paper, img, stage = (fresh.locator(css) for css in (".se-paper", ".se-picture", ".se-stage"))
    before = pixels(paper)
    stamps.get_by_role("radio", name="Bus").click()
    with NextPicture(img):
        stroke(fresh, (0.5, 0.9))
    by_click = (pixels(paper) == torch.tensor([0, 60, 100])).all(-1).sum()
    assert by_click > 200
    stage.focus()
    for key in ("[", "s", "s", "s"):  # smaller; the person, the tree, the car again
        stage.press(key)
    assert stamps.get_by_role("radio", name="Car").get_attribute("aria-checked") == "true"
    stage.press("ArrowUp")
    with NextPicture(img):
        stage.press("Enter")
    by_keyboard = (pixels(paper) == torch.tensor([0, 0, 142])).all(-1).sum()
    assert by_keyboard > (before == torch.tensor([0, 0, 142])).all(-1).sum()
    for _ in range(2):
        with NextPicture(img):
            stage.press("Control+z")
    assert torch.equal(pixels(paper), before)
    stamps.get_by_role("radio", name="Car").press("ArrowRight")
    assert stamps.get_by_role("radio", name="Bus", checked=True).evaluate("e => e === document.activeElement")


def test_picture_and_map_are_saved_with_names_of_their_own_and_the_map_comes_back(fresh, tmp_path):
    names = []
    for text in ("Save picture", "Save 4x", "Save map"):
        with fresh.page.expect_download() as saved:
            fresh.get_by_text(text, exact=True).click()
        names.append(saved.value.suggested_filename)
        saved.value.save_as(tmp_path / text)
    assert len(set(names)) == 3
    assert Image.open(tmp_path / "Save 4x").size == (512, 256)
    assert "stored SPADE" in Image.open(tmp_path / "Save picture").text["spade_edu recipe"]
    before = pixels(fresh.locator(".se-paper"))
    load(fresh, 5)
    with NextPicture(fresh.locator(".se-picture")):
        fresh.get_by_label("Open map").set_input_files(tmp_path / "Save map")
    assert torch.equal(pixels(fresh.locator(".se-paper")), before)


def test_the_question_mark_shows_every_key_and_escape_closes_it(fresh):
    fresh.locator(".se-stage").press("?")
    sheet = fresh.get_by_role("dialog", name="Keys")
    for words in ("Arrows", "Ctrl Z", "rectangle"):
        sheet.get_by_text(words).first.wait_for()
    fresh.page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")


def test_each_picture_and_control_has_a_name(painter):
    assert painter.locator(".se-picture").get_attribute("alt").startswith("Picture generated from: ")
    nameless = painter.locator("button, input, [role=application]").evaluate_all(
        "all => all.filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"
    )
    assert nameless == 0


def contrast(view, selector: str, style: str, ground: str) -> float:
    """How much a colour stands out from its ground, as WCAG computes it."""
    colours = view.locator(selector).first.evaluate(
        f"e => [getComputedStyle(e).{style}, getComputedStyle(document.querySelector('{ground}')).backgroundColor]"
    )
    light = []
    for colour in colours:
        channels = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_edges_stand_out(fresh, scheme):
    fresh.page.emulate_media(color_scheme=scheme)
    assert contrast(fresh, ".se-status", "color", ".spade-edu") >= 4.5
    assert contrast(fresh, "figcaption", "color", ".spade-edu") >= 4.5
    assert contrast(fresh, "[aria-pressed=true]", "borderTopColor", ".spade-edu button") >= 3
    fresh.page.emulate_media(color_scheme="light")


def test_a_phone_reaches_everything(program, browser, fresh):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(fresh.page.url)
    page.get_by_role("region", name="Painter").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    heights = page.locator("button:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert min(heights) >= 44
    page.get_by_role("radio", name="bicycle").tap()
    assert page.get_by_role("radio", name="bicycle").get_attribute("aria-checked") == "true"
    page.evaluate("() => window.scrollTo(0, 1e6)")
    for css in (".se-stage", ".se-picture"):  # in sight while looks are chosen at the page's end
        box = page.locator(css).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] < 500
    context.close()


def test_strokes_wait_for_a_program_that_is_away(browser, tmp_path):
    """Stopped and started again at the same port: the tab goes on, and what was painted meanwhile is there."""
    page = browser.new_page()
    with painting("--port", "0", home=tmp_path) as process:
        view = opened(page, process)
        port = re.search(r":(\d+)/", page.url)[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        choose_class(view, "car")
        stroke(view, (0.3, 0.8), (0.5, 0.8))
        view.locator(".se-status").filter(has_text="The program is away").wait_for()
        painted = pixels(view.locator(".se-paper"))
    with painting("--port", port, home=tmp_path) as process:
        process.stdout.readline()
        view.locator(".se-status").filter(has_text=re.compile("^$")).wait_for(state="attached", timeout=30_000)
        page.reload()
        assert torch.equal(pixels(view.locator(".se-paper")), painted)
    page.close()
