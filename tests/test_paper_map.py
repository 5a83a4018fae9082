"""docs/paper-map.md: every link leads to its line, and the page's SPADE is the package's."""

import re
import sys
from pathlib import Path

import torch

from spade_edu.blocks import SPADEResnetBlock
from spade_edu.normalization import SPADE

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import paper_map  # noqa: E402

TEXT = paper_map.PAGE.read_text(encoding="utf-8")


def test_lines_are_those_of_today():
    assert paper_map.updated(TEXT) == TEXT, "run `python tools/paper_map.py`"


def test_there_are_links_and_every_file_exists():
    links = re.findall(r"\]\((\.\./[^)#]+|[\w.-]+\.md)", TEXT)
    assert len(links) > 25
    assert [link for link in links if not (paper_map.PAGE.parent / link).exists()] == []


def test_spade_in_30_lines_is_spade():
    page = {}
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    exec(code, page)
    body = [line for line in code.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(body) <= 30
    segmap = torch.nn.functional.one_hot(torch.randint(3, (2, 8, 8)), 3).permute(0, 3, 1, 2).float()
    x = torch.randn(2, 6, 4, 4)
    names = {"norm.": "param_free_norm.", "shared.": "mlp_shared.0.", "gamma.": "mlp_gamma.", "beta.": "mlp_beta."}
    for short, full in (
        (page["SPADE"](6, 3), SPADE(6, 3)),
        (page["SPADEResnetBlock"](6, 4, 3), SPADEResnetBlock(6, 4, 3)),
    ):
        state = short.state_dict()
        for old, new in names.items():
            state = {re.sub(rf"(^|\.){re.escape(old)}", rf"\1{new}", key): value for key, value in state.items()}
        state = {key.replace("weight_orig", "weight").replace("weight_", ""): value for key, value in state.items()}
        full.load_state_dict(state)
        for network in (short, full):
            network.train()
        torch.testing.assert_close(short(x, segmap), full(x, segmap))
