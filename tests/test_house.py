"""Who imports whom, read off the sources: no circles, and the root is a course that nothing around it reaches into."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "spade_edu"
# The root in its order: each may import those before it. What is useful to all stands first.
# fmt: off
ORDER = [
    "errors", "files", "pictures", "distributed", "checkpoints",
    "labels", "normalization", "spectral", "blocks", "generators", "losses", "discriminators", "encoder",
    "initialisation", "config", "presets", "models", "training", "sampling",
]
# Around the course, and who in the root may import it nevertheless.
AROUND = [
    "fast", "pretrained", "data", "evaluation", "runs", "related", "experiments", "course", "checks", "widgets", "cli",
]
# fmt: on
ALLOWED = {name: {"fast", "pretrained"} for name in ("config", "presets", "models")} | {"sampling": {"data"}}


def module_name(path):
    """The dotted name of a file, a package's for its __init__.py."""
    parts = (ROOT.name, *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py")}


def statements(node, lazily=False):
    """(import statement, whether a function has to be called before it is run); those for type checkers left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazily
        elif not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from statements(child, lazily or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def targets(module, statement):
    """The dotted names that a statement of `module` imports: modules of this package, or whatever else."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    inside = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    base = inside[: len(inside) - statement.level + 1] if statement.level else []
    source = ".".join([*base, *filter(None, [statement.module])])
    named = [f"{source}.{alias.name}" for alias in statement.names]
    return [name if name in MODULES else source for name in named]


def imports(module, lazily):
    """What a module imports at its top, or inside its functions."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return {name for found, late in statements(tree) if late == lazily for name in targets(module, found)}


TOP = {module: imports(module, lazily=False) for module in MODULES}
LAZY = {module: imports(module, lazily=True) for module in MODULES}


def with_packages(module, names):
    """The modules of this package among `names`; importing a.b.c runs a and a.b first, unless they run already."""
    parts = [name.split(".") for name in names if name in MODULES]
    run = {".".join(p[:end]) for p in parts for end in range(1, len(p))}
    running = {name for name in run if f"{module}.".startswith(f"{name}.")}
    return (run - running) | ({".".join(p) for p in parts} - {module})


def arrows(graph):
    """(importer, imported) as the names of the root's modules and folders."""
    pairs = [(module.split("."), name.split(".")) for module in graph for name in graph[module] if name in MODULES]
    return {(a[1], b[1]) for a, b in pairs if len(a) > 1 and len(b) > 1 and a[1] != b[1]}


both = pytest.mark.parametrize("graph", [TOP, LAZY], ids=["at the top", "inside functions"])


def test_no_circle_at_the_top():
    assert circle(TOP) is None


def test_no_circle_that_only_waits_for_a_call():
    assert circle({module: TOP[module] | LAZY[module] for module in MODULES}) is None


def circle(graph):
    """A circle of imports as a list of modules, if there is one."""
    try:
        TopologicalSorter({module: with_packages(module, names) for module, names in graph.items()}).prepare()
    except CycleError as error:
        return error.args[1]


@both
def test_no_arrow_upwards_in_the_root(graph):
    places = {name: place for place, name in enumerate(ORDER)}
    found = [pair for pair in sorted(arrows(graph)) if set(pair) <= set(ORDER)]
    assert [pair for pair in found if places[pair[0]] < places[pair[1]]] == []


@both
def test_the_course_imports_nothing_from_around_it(graph):
    found = [(a, b) for a, b in sorted(arrows(graph)) if a in ORDER and b in AROUND]
    assert [(a, b) for a, b in found if b not in ALLOWED.get(a, ())] == []


def test_every_module_and_folder_has_its_place():
    found = {p.stem for p in ROOT.glob("*.py")} | {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert found == {*ORDER, *AROUND, "__init__", "__main__"}
    assert len([*ROOT.glob("*.py")]) <= 20


def test_losses_are_formulas_and_nothing_else():
    packages = {name.split(".")[0] for name in TOP["spade_edu.losses"] | LAZY["spade_edu.losses"]}
    assert packages <= {"torch", "jaxtyping", "typing", "collections"}


def test_the_graph_is_seen():
    """Arrows that must be there: were they missed, the tests above would pass on any package."""
    assert {("blocks", "normalization"), ("models", "generators"), ("generators", "blocks")} <= arrows(TOP)
    assert "spade_edu.losses" in TOP["spade_edu.training"] and ("cli", "data") in arrows(LAZY)
    assert circle({"spade_edu.labels": {"spade_edu.blocks"}, "spade_edu.blocks": {"spade_edu.labels"}})
