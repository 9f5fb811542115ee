"""The site: `sphinx-build -W docs site` makes it from these pages, and runs what they show.

Pages hold sessions, as Python's shell shows them, so that they can be read without the site, too.
Each is run once, and what differs from what stands there is a warning.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("KERAS_BACKEND", "torch")

from sphinx.application import Sphinx  # noqa: E402

from contractconv.markup.parts import COPYING  # noqa: E402
from contractconv.version import VERSION  # noqa: E402

project = "contractconv"
author = "the contractors"
version = release = VERSION
copyright = ""

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "extensions.sessions",
    "extensions.styles",
    "extensions.directives",
    "extensions.drawings",
    "extensions.layer_pages",
    "extensions.overviews",
    "extensions.playground",
]
source_suffix = {".md": "markdown", ".toml": "layer"}
exclude_patterns = ["_static"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings: list[str] = []

# -- how it looks: all of it lies in the site itself ------------------------------------------

html_theme = "furo"
html_title = "contractconv"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # pages that lie on a disk cannot read each other
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/playground.html",
        "sidebar/scroll-end.html",
    ]
}
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5c55",
        "color-brand-content": "#0b5c55",
        "color-brand-visited": "#5b4a8a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5eead4",
        "color-brand-content": "#5eead4",
        "color-brand-visited": "#c4b5fd",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# -- what stands in docstrings ----------------------------------------------------------------

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 60
maximum_signature_line_length = 60


def setup(app: Sphinx) -> None:
    """Called by Sphinx: buttons that copy are made by the library's own script."""
    app.add_js_file(None, body=f"addEventListener('DOMContentLoaded', () => {{{COPYING}}});")
