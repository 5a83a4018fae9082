"""The Painter through a stand-in for Google's widget manager, which Colab uses in place of Jupyter's."""

import re

import pytest
import torch
from canvas_hands import NextPicture, choose_class, pixels, stroke
from google_stand_in import GoogleStandIn
from PIL import Image

from spade_edu import CITYSCAPES
from spade_edu.data import Streets
from spade_edu.runs.loading import load_stored
from spade_edu.widgets import Painter
from spade_edu.widgets.looks import read_recipe


@pytest.fixture(scope="module")
def stand_in():
    scenes = Streets(40, split="val")
    networks = load_stored("spade")
    first = scenes[0]

    def make():
        return Painter(networks.generator, CITYSCAPES, first.label, instance=first.instance, scenes=scenes)

    with pytest.MonkeyPatch.context() as patch:
        stand_in = GoogleStandIn(make, patch)
        yield stand_in
        stand_in.close()


@pytest.fixture(scope="module")
def view(stand_in, page):
    page.goto(stand_in.address)
    view = page.get_by_role("region", name="Painter")
    view.wait_for()
    return view


def shows(view, widget) -> bool:
    return torch.equal(pixels(view.locator(".se-paper")), CITYSCAPES.colourise(widget.label).long())


def test_a_stroke_reaches_python_and_its_picture_comes_back(stand_in, view):
    painter, img = stand_in.widget, view.locator(".se-picture")
    before = painter.counts().get("car", 0)
    choose_class(view, "car")
    with NextPicture(img):
        stroke(view, (0.3, 0.9), (0.5, 0.9))
    assert painter.counts()["car"] > before + 50
    assert torch.equal(pixels(img), painter.image.long()) and shows(view, painter)
    with NextPicture(img):
        view.get_by_role("button", name="Undo").click()
    assert painter.counts().get("car", 0) == before and shows(view, painter)
    assert view.locator(".se-status").text_content() == ""


def test_a_change_from_python_reaches_the_page(stand_in, view):
    with NextPicture(view.locator(".se-picture")), stand_in.lock:
        assert stand_in.widget.core.answer({"do": "load", "scene": 5}, []) == ""
        stand_in.widget.refresh()
    assert shows(view, stand_in.widget)


def test_stamps_looks_and_keys(stand_in, view):
    painter, img = stand_in.widget, view.locator(".se-picture")
    view.get_by_role("radiogroup", name="Stamps").get_by_role("radio", name="Tree").wait_for(timeout=60_000)
    before = painter.counts().get("bus", 0)
    stage = view.locator(".se-stage")
    stage.focus()
    for key in ("s", "s", "ArrowDown"):
        stage.press(key)
    with NextPicture(img):
        stage.press("Enter")
    assert painter.counts()["bus"] > before + 200
    with NextPicture(img):
        view.get_by_role("radiogroup", name="Look").get_by_role("radio", name="seed 2").click()
    assert painter.core.chosen == 2 and torch.equal(pixels(img), painter.image.long())


def test_what_is_saved_and_what_stands_in_a_page_without_widgets(stand_in, view, tmp_path):
    with view.page.expect_download() as saved:
        view.get_by_text("Save picture", exact=True).click()
    saved.value.save_as(tmp_path / "picture.png")
    assert read_recipe(tmp_path / "picture.png")["seed"] == 2
    assert re.match("generated_scene5_", saved.value.suggested_filename)
    with view.page.expect_download() as saved:
        view.get_by_text("Save map", exact=True).click()
    saved.value.save_as(tmp_path / "map.png")
    assert Image.open(tmp_path / "map.png").tobytes() == bytes(stand_in.widget.label.to(torch.uint8).numpy())
    data, _ = stand_in.widget._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= data.keys()
