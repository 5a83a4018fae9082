"""Sphinx's settings for `make site`; tools/build_site.py lays out the pages and calls Sphinx."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from docstrings import as_rst  # noqa: E402

project = html_title = "spade_edu"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.viewcode"]

nb_execution_mode = "off"  # the stored outputs are shown
nb_ipywidgets_js: dict = {}  # from another host; widgets show their still pictures
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_space = myst_dmath_allow_digits = False  # $5 is no formula
myst_heading_anchors = 4
mathjax_path = "mathjax.js"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
highlight_language = "text"  # of blocks that name no language: commands and tables
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 90

html_theme = "sphinx_book_theme"
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "show_toc_level": 2,
    "use_fullscreen_button": False,
}
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Docstrings are plain text: make reStructuredText of them, with their formulas drawn."""

    def rewrite(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
        lines[:] = as_rst("\n".join(lines)).split("\n")

    app.connect("autodoc-process-docstring", rewrite)
