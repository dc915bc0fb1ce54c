"""The documentation site: Sphinx, with pages in MyST Markdown whose code cells run in the build.

python -m pip install -e ".[docs]" && python -m sphinx -W --keep-going -b html docs docs/_build/html
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
os.environ["PYTHONPATH"] = str(HERE.parent)  # the cells run in other processes

import admodes  # noqa: E402

project, author, release = "admodes", "the admodes authors", admodes.__version__
copyright = "2026, the admodes authors"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "docstrings",  # ours: what the docstrings say in prose, in the sections that numpydoc knows
    "generated",  # ours: pages made from the registry, the figures and the notebooks
]

exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say what they are
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_ipywidgets_js = {}  # pages load nothing from elsewhere
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = f"admodes {release}"
html_static_path = ["_static"]
html_css_files = ["admodes.css"]
html_show_sourcelink = False
html_sidebars = {"gallery": [], "benchmarks": [], "index": [], "examples/*": []}
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
