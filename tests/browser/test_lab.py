"""The widgets in JupyterLab in a real browser."""

import re

import pytest
import torch
from canvas_hands import NextPicture, choose_class, pixels, stroke
from PIL import Image

from spade_edu import CITYSCAPES

CELLS = [
    """from spade_edu import CITYSCAPES
from spade_edu.data import Streets
from spade_edu.runs.loading import load_stored
from spade_edu.widgets import Explorer, Painter, PicturePair, Sampler, Study, StyleBoard
networks, streets = load_stored("spade"), Streets(6, split="val")
scene = streets[1]""",
    "painter = Painter(networks.generator, CITYSCAPES, scene.label, instance=scene.instance, scenes=streets)\npainter",
    "painter",
    "sampler = Sampler(networks.generator, scene.label, CITYSCAPES, scene.instance)\nsampler",
    """references = [streets[i].image for i in range(2)]
board = StyleBoard(networks.generator, networks.encoder, scene.label, CITYSCAPES, references)
board""",
    "explorer = Explorer(networks.generator, scene.label, CITYSCAPES)\nexplorer",
    """colours = CITYSCAPES.colourise(scene.label)
pairs = [PicturePair(f"m{i}", {"A": streets[i].image, "B": streets[i + 1].image}, colours) for i in range(3)]
study = Study(pairs, "choices.jsonl")
study""",
]


@pytest.fixture(scope="module")
def kernel(lab, page):
    kernel = lab.open(page, "widgets.ipynb", CELLS)
    page.locator(".spade-edu").nth(5).wait_for()
    yield kernel
    kernel.close()


@pytest.fixture
def views(page, kernel):
    """Both views of the painter, on the map that it began with."""
    kernel.run("painter.core.load({'scene': 1}, [])\npainter.refresh()")
    found = page.get_by_role("region", name="Painter")
    in_step(page, kernel)
    return found.nth(0), found.nth(1)


def section(page, name: str):
    return page.get_by_role("region", name=name)


def in_step(page, kernel) -> None:
    """Wait until both views of the painter show the map that Python has."""
    papers = section(page, "Painter").locator(".se-paper")
    for _ in range(200):
        colours = CITYSCAPES.colourise(torch.tensor(kernel.value("painter.label.tolist()"))).long()
        if all(torch.equal(pixels(papers.nth(view)), colours) for view in range(2)):
            return
        page.wait_for_timeout(50)
    raise AssertionError("The views don't show Python's map.")


def test_a_stroke_changes_the_counts_and_the_picture_where_it_is(page, kernel, views):
    img = views[0].locator(".se-picture")
    old, counts = torch.tensor(kernel.value("painter.label.tolist()")), kernel.value("painter.counts()")
    before = pixels(img)
    choose_class(views[0], "car")
    with NextPicture(img):
        stroke(views[0], (0.3, 0.8), (0.5, 0.8))
    assert kernel.value("painter.counts()").get("car", 0) > counts.get("car", 0) + 50
    painted = torch.tensor(kernel.value("painter.label.tolist()")) != old
    change = (pixels(img) - before).abs().float().mean(-1)
    assert change[painted].mean() > 20
    assert change[~painted].mean() < change[painted].mean() / 5


def test_undo_returns_the_same_map_and_picture(page, kernel, views):
    view, img = views[0], views[0].locator(".se-picture")
    label, before = kernel.value("painter.label.tolist()"), pixels(img)
    with NextPicture(img):
        stroke(view, (0.2, 0.2), (0.7, 0.6))
    painted = kernel.value("painter.label.tolist()")
    assert painted != label
    with NextPicture(img):
        view.get_by_role("button", name="Undo").click()
    assert kernel.value("painter.label.tolist()") == label
    assert torch.equal(pixels(img), before)
    with NextPicture(img):
        view.locator(".se-stage").press("Control+y")
    assert kernel.value("painter.label.tolist()") == painted


def test_painting_beside_a_training_cell_leaves_its_network_alone(page, kernel, views):
    """The kernel answers widgets in a thread of its own while a cell runs: mode and weights stay the cell's."""
    kernel.run(
        """import threading, time
seen = []
def training():
    generator = networks.generator.train()
    until = time.monotonic() + 8
    while time.monotonic() < until:
        seen.append(generator.training and generator.head_0.training)
        time.sleep(0.001)
    generator.eval()
before = {k: v.clone() for k, v in networks.generator.state_dict().items()}
thread = threading.Thread(target=training)
thread.start()"""
    )
    choose_class(views[0], "car")
    for place in (0.2, 0.4, 0.6):
        with NextPicture(views[0].locator(".se-picture")):
            stroke(views[0], (place, 0.8), (place + 0.1, 0.8))
    kernel.run("thread.join()")
    assert kernel.value("len(seen) > 100 and all(seen)")
    assert kernel.value("all((v == before[k]).all().item() for k, v in networks.generator.state_dict().items())")


def test_two_views_stay_in_step(page, kernel, views):
    for view, other, place in ((*views, 0.3), (*views[::-1], 0.6)):
        choose_class(view, "bus")
        with NextPicture(other.locator(".se-picture")):
            stroke(view, (place, 0.7), (place + 0.1, 0.9))
        in_step(page, kernel)
        assert torch.equal(pixels(view.locator(".se-picture")), pixels(other.locator(".se-picture")))


def test_everything_by_keyboard_and_no_shortcut_of_the_notebook(page, kernel, views):
    view, img = views[0], views[0].locator(".se-picture")
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    before = kernel.value("painter.counts()")
    stage = view.locator(".se-stage")
    stage.focus()
    car = view.get_by_role("radio", name="car").first
    key = car.get_attribute("title").removeprefix("key ").replace("Shift ", "Shift+Digit")
    for press in ("f", "e", "l", "b", "]", "]", key):  # tools, size, class
        stage.press(press)
    assert car.get_attribute("aria-checked") == "true"
    with NextPicture(img):
        stage.press(" ")
    assert kernel.value("painter.counts()").get("car", 0) > before.get("car", 0)
    with NextPicture(img):
        stage.press("Control+z")
    assert kernel.value("painter.counts()") == before
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_fill_flip_and_scenes(page, kernel, views):
    view, img = views[0], views[0].locator(".se-picture")
    label = torch.tensor(kernel.value("painter.label.tolist()"))
    with NextPicture(img):
        view.get_by_role("button", name="Flip").click()
    assert torch.equal(torch.tensor(kernel.value("painter.label.tolist()")), label.flip(1))
    assert kernel.value("painter.core.map.instance.tolist()") == kernel.value("scene.instance.flip(1).tolist()")
    with NextPicture(img):
        view.get_by_role("button", name="Next", exact=True).click()
    assert kernel.value("painter.label.tolist()") == kernel.value("streets[2].label.tolist()")
    choose_class(view, "truck")
    view.get_by_role("button", name="Fill").click()
    with NextPicture(img):
        stroke(view, (0.5, 0.97))
    assert kernel.value("painter.counts()")["truck"] > 300
    view.get_by_role("button", name="Brush", exact=True).click()


def test_painting_goes_on_while_python_works_and_only_the_latest_map_is_sent(page, kernel, views, lab):
    kernel.run("""import time
from pathlib import Path
maps, draw = [], painter.core.draw
def patient_draw():
    maps.append(painter.label.tolist())
    while not Path("go on").exists():
        time.sleep(0.02)
    draw()
painter.core.draw = patient_draw""")
    choose_class(views[0], "wall")
    seen = pixels(views[0].locator(".se-paper"))
    for place in (0.1, 0.3, 0.5, 0.7):
        stroke(views[0], (place, 0.9), (place + 0.1, 0.9))
        before, seen = seen, pixels(views[0].locator(".se-paper"))
        assert not torch.equal(seen, before)
    (lab.folder / "go on").touch()
    in_step(page, kernel)
    assert torch.equal(pixels(views[0].locator(".se-paper")), seen)
    assert kernel.run("del painter.core.draw", "len(maps)") == 2  # the first, and the last of those that came meanwhile


def test_a_refused_map_is_told_and_taken_back(page, kernel, views):
    kernel.run("import spade_edu\npainter.core.map.labels = spade_edu.CAMVID")  # it has no id 26
    stroke(views[0], (0.3, 0.8), (0.5, 0.8))
    status = views[0].locator(".se-status")
    page.wait_for_function("(line) => line.textContent.includes('ids 0 to 11')", arg=status.element_handle())
    kernel.run("painter.core.map.labels = spade_edu.CITYSCAPES")
    in_step(page, kernel)


def test_a_click_keeps_a_look(page, kernel):
    view = section(page, "Sampler")
    tile = view.locator(".se-tile").nth(2)
    tile.click()
    view.locator(".se-tile[aria-pressed=true]").wait_for()
    assert kernel.value("sampler.kept") == [{"seed": 2}]
    assert tile.get_attribute("aria-pressed") == "true"
    view.get_by_role("button", name="More like seed 5", exact=True).click()
    view.locator("figcaption", has_text="±").first.wait_for()
    view.locator(".se-tile").nth(3).click()
    slider = view.get_by_label("Position between the two")
    slider.fill("25")
    view.locator("figcaption", has_text="25%").wait_for()
    assert len(kernel.value("sampler.kept")) == 2


def test_a_kept_look_is_saved_with_its_recipe(page, kernel, tmp_path):
    from spade_edu.widgets.looks import read_recipe

    with page.expect_download() as download:
        section(page, "Sampler").get_by_role("link", name=re.compile("^Save .*recipe")).first.click()
    download.value.save_as(tmp_path / "look.png")
    assert read_recipe(tmp_path / "look.png") == kernel.value("sampler.kept[0]")


def test_strength_and_uploads(page, kernel, tmp_path):
    view = section(page, "Style board")
    view.get_by_label("Strength of reference 2").fill("40")
    view.locator("figcaption", has_text="strength 40 %").wait_for()
    assert kernel.value("[card['strength'] for card in board.core.cards]") == [1.0, 0.4]
    Image.new("RGB", (80, 40), "orange").save(tmp_path / "orange.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    upload = view.get_by_label("Upload a reference picture")
    upload.set_input_files(tmp_path / "orange.png")
    view.locator("figcaption", has_text="orange.png").wait_for()
    upload.set_input_files(tmp_path / "broken.png")
    view.locator(".se-status").filter(has_text="expected a picture").wait_for()
    assert kernel.value("len(board.core.cards)") == 3


def test_gamma_follows_the_layer_and_the_paint(page, kernel):
    view = section(page, "Explorer")
    gamma = view.get_by_role("img", name="Map of gamma")
    with NextPicture(gamma):
        view.get_by_label("SPADE layer").select_option(index=16)
    before = pixels(gamma)
    assert before.shape[:2] == tuple(kernel.value("explorer.core.sizes[16]"))
    with NextPicture(gamma):
        stroke(view, (0.3, 0.8), (0.5, 0.8))
    assert not torch.equal(pixels(gamma), before)


def test_a_study_by_keyboard(page, kernel, lab):
    view = section(page, "Study")
    view.get_by_label("Your code name").fill("p7")
    view.get_by_label("Your code name").press("Enter")
    for number, key in enumerate(("ArrowLeft", "2", "ArrowRight")):
        view.get_by_text(f"Pair {number + 1} of 3").wait_for()
        view.press(key)
    view.get_by_text("Thank you").wait_for()
    lines = (lab.folder / "choices.jsonl").read_text().splitlines()
    assert [re.search('"chosen": "([a-z]+)"', line)[1] for line in lines] == ["left", "right", "right"]


def test_a_restarted_kernel_is_announced(page, lab):
    cells = [
        """from spade_edu import CITYSCAPES, SPADEGenerator
from spade_edu.widgets import Painter
generator = SPADEGenerator(CITYSCAPES.num_channels, latent=(1, 2), ngf=2, hidden_channels=4)""",
        "Painter(generator, CITYSCAPES)",
    ]
    kernel = lab.open(page, "restarted.ipynb", cells)
    kernel.close()
    view = section(page, "Painter").last
    view.wait_for()
    page.evaluate("void window.jupyterapp.commands.execute('notebook:restart-kernel')")
    page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    view.locator(".se-status").filter(has_text="kernel is gone").wait_for()
    stroke(view, (0.3, 0.8), (0.5, 0.8))  # still draws, and still says so
    view.locator(".se-status").filter(has_text="kernel is gone").wait_for()
