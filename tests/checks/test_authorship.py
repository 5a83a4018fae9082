"""Whose work an answer is: the package's own is refused, a pasted solution told, what students write left alone."""

import ast
import inspect
import re
import textwrap
from functools import partial
from importlib import import_module

import answers_modules
import pytest
from graded import SOLVED, graded, solution_cells, write

from spade_edu import losses
from spade_edu.checks import known
from spade_edu.checks.authorship import ALIKE, FEWEST_LINES, alike, definitions, foreign, uses
from spade_edu.evaluation import frechet
from spade_edu.normalization import SPADE

STAGES = [*(import_module(f"answers_{stage:02d}") for stage in range(1, 10)), answers_modules]
RIGHT = [answer for stage in STAGES for answer in stage.RIGHT]
OWN = [
    ("hinge_generator", losses.hinge_generator, "losses.hinge_generator"),
    ("hinge_generator", partial(losses.hinge_generator), "losses.hinge_generator"),
    ("hinge_generator", lambda fake: losses.hinge_generator(fake), "losses.hinge_generator"),
    ("kl_divergence", lambda mu, logvar: losses.kl_divergence(logvar=logvar, mu=mu), "losses.kl_divergence"),
    ("receptive_field", known()["receptive_field"].reference, "s02_pix2pixhd.receptive_field"),
    ("receptive_field", lambda layers: known()["receptive_field"].reference(list(layers)), "receptive_field"),
    ("frechet_distance", frechet.frechet_distance, "frechet.frechet_distance"),
    ("SPADE", SPADE, "normalization.SPADE"),
    ("SPADE", type("SPADE", (SPADE,), {}), "normalization.SPADE"),
    ("SPADE", lambda c, labels, hidden=128: SPADE(c, labels, hidden_channels=hidden), "normalization.SPADE"),
]


@pytest.mark.parametrize(("name", "answer", "words"), OWN)
def test_the_package_is_refused_by_name(name, answer, words):
    assert words in foreign(known()[name], answer)


def test_what_students_write_is_theirs():
    """Whatever is refused among the stored right answers is the package's in name."""
    refused = [(name, foreign(known()[name], answer)) for name, answer in RIGHT]
    refused = [(name, words) for name, words in refused if words]
    assert refused and all(words.endswith(f".{name}") for name, words in refused), refused
    assert len(refused) < len(RIGHT) / 5


def test_a_call_of_the_package_that_is_no_answer_is_told_and_what_is_due_is_not():
    packaged = next(a for n, a in RIGHT if n == "patch_discriminator" and getattr(a, "__name__", "") == "from_package")
    assert "spade_edu.discriminators.PatchDiscriminator" in uses(known()["patch_discriminator"], packaged)
    for name in ("discriminator_loss", "spade_block", "SPADEResnetBlock", "train"):
        answers = [answer for n, answer in RIGHT if n == name]
        assert answers and [uses(known()[name], answer) for answer in answers] == [[]] * len(answers)


def text_of(answer):
    """The text of a stored answer; empty where there is none."""
    try:
        return textwrap.dedent(inspect.getsource(answer))
    except (TypeError, OSError):
        return ""


def test_no_stored_right_answer_looks_pasted_but_the_packages_own():
    near = {}
    for name, answer in RIGHT:
        for own, tree in definitions(text_of(answer)).items():
            tree.name = name
            near[name, own] = alike(name, [ast.unparse(tree)])
    assert len(near) >= 50 and sum(value > 0 for value in near.values()) >= 15
    assert [key for key, value in near.items() if value >= ALIKE] in ([], [("instance_edges", "instance_edges")])


def long_solutions():
    cells = [cell for stage in range(1, 10) for cell in solution_cells(f"{stage:02d}")]
    found = {name: cell for cell in cells for name in definitions(cell) if name in known()}
    return {n: cell for n, cell in found.items() if len(cell.splitlines()) > FEWEST_LINES + 6}


@pytest.mark.parametrize("name", long_solutions())
def test_a_pasted_solution_is_told_however_it_is_renamed_and_commented(name):
    cell = long_solutions()[name]
    if alike(name, [cell]) == 0:
        pytest.skip("its statements are fewer than the threshold")
    names = [
        node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    own = {node.id for node in names}
    for word in own:
        cell = re.sub(rf"\b{word}\b(?!=)", f"my_{word}", cell)
    assert own and alike(name, ["# mine\n" + cell.replace("\n    ", "\n\n    # here\n    ")]) >= ALIKE


def test_grading_refuses_the_one_and_tells_the_other(tmp_path):
    cells = [
        "from spade_edu import losses\nfrom spade_edu.checks import check\nhinge_generator = losses.hinge_generator",
        'check("hinge_generator", hinge_generator)',
        f'{SOLVED}\ncheck("receptive_field", receptive_field)',
    ]
    grades = graded(write(tmp_path / "06_x.ipynb", *cells))
    assert not grades["hinge_generator"].passed and not grades["hinge_generator"].look
    assert "is, or only calls, spade_edu.losses.hinge_generator" in grades["hinge_generator"].message
    assert grades["receptive_field"].passed and grades["receptive_field"].remark == ""
    path = write(tmp_path / "06_y.ipynb", *solution_cells("06"))
    remarks = {name: row.remark for name, row in graded(path).items() if row.remark}
    assert remarks and all("like a stored solution" in remark for remark in remarks.values())
