"""The figures' style: legible on a page, one colour for each system, no scale for class ids."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from spade_edu.course import plotting as show


@pytest.fixture(autouse=True)
def figure(monkeypatch):
    """The figure that was shown last."""
    monkeypatch.setattr(plt, "show", lambda: None)
    show.use_style()
    yield plt.gcf
    plt.close("all")


@pytest.mark.parametrize("columns", [1, 4, 5, 7])
def test_no_figure_is_wider_than_a_page(figure, columns):
    show.maps([torch.zeros(2, 4)] * columns, columns=columns)
    assert figure().get_figwidth() <= show.PAGE + 1e-6
    show.pictures([torch.zeros(3, 2, 4)] * columns, columns=columns, width=3.4)
    assert figure().get_figwidth() == pytest.approx(min(show.PAGE, 3.4 * columns))


def test_whole_numbers_get_whole_ticks(figure):
    show.curves({"a": torch.rand(19)}, x=range(1, 20), xlabel="layer", ylabel="value")
    ticks = figure().axes[0].get_xticks()
    assert len(ticks) > 2 and np.array_equal(ticks, ticks.round())
    show.curves({"a": torch.rand(5)}, x=torch.linspace(0, 1, 5), xlabel="share", ylabel="value")
    assert not np.array_equal(figure().axes[0].get_xticks(), figure().axes[0].get_xticks().round())


def test_a_systems_bars_have_its_colour_and_no_other_has_it(figure):
    show.bars({"pix2pixHD alone": 1, "SPADE over road": 2, "pix2pixHD++": 3, "spades": 4}, ylabel="value")
    colours = [to_hex(bar.get_facecolor()).upper() for bar in figure().axes[0].patches]
    assert colours[:3] == [show.COLOURS[name] for name in ("pix2pixHD", "SPADE", "pix2pixHD++")]
    assert colours[3] not in show.COLOURS.values()


def test_ids_stand_outside_the_scale(figure):
    ids, values = torch.tensor([[0, 1], [2, 8]]), torch.tensor([[0.0, 4], [4, 0]])
    show.maps([ids, values], ids=1, diverging=False)
    left, right = (ax.images[0] for ax in figure().axes[:2])
    assert left.get_cmap().name == show.IDS and right.get_clim() == (0, 4)
    assert len(np.unique(left.to_rgba(left.get_array()).reshape(4, 4), axis=0)) == 4


def test_bars_names_are_broken_where_they_say_and_where_they_must(figure):
    show.bars({"TTUR:\nG / 2, D * 2": 1, "no feature matching": 2}, ylabel="value")
    names = [label.get_text() for label in figure().axes[0].get_xticklabels()]
    assert names == ["TTUR:\nG / 2, D * 2", "no feature\nmatching"]
