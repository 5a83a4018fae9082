"""Names and shapes of the entries of published weights, for the tests to compare with."""

import json
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"


def shapes(file, network):
    """{entry: shape} of one network of fixtures/official_names.json or evaluator_names.json."""
    layouts = json.loads((FIXTURES / f"{file}.json").read_text(encoding="utf-8"))[network]
    found = {}
    for layout, modules in layouts.items():
        for entry in layout.split(", "):
            name, _, size = entry.partition(" ")
            shape = [int(n) for n in size.split("x")] if size else []
            found |= {f"{module}.{name}": shape for module in modules.split()}
    return found
