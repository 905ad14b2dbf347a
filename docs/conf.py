"""The documentation site: `make docs` lays its sources into _proc/pages (docs/pages.py) and builds _docs of them. A warning stops it.

Why Sphinx with MyST-NB and Furo: it reads notebooks with their stored outputs, and everything it needs comes from PyPI; its Python domain makes the API searchable and
checks every reference; search and formulas work without network. Also looked at: Jupyter Book 2 (MyST) needs Node and fetches its theme while it builds; MkDocs has
had no release since 2024, and Material for MkDocs only mends faults; nbdev's own site needs Quarto.
"""
import re
from configparser import ConfigParser
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here.parent/'settings.ini', encoding='utf-8')
settings = config['DEFAULT']

project, author, release = settings['lib_name'], settings['author'], settings['version']
copyright = settings['copyright']
extensions = ['myst_nb']
root_doc = 'index'

nb_execution_mode = 'off' # the outputs that are stored
nb_merge_streams = True
myst_enable_extensions = ['dollarmath', 'fieldlist']
myst_heading_anchors = 3
nitpicky = True
nitpick_ignore_regex = [('py:class', '.*')] # types in signatures; references in prose are py:obj
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
toc_object_entries_show_parents = 'hide'

html_theme = 'furo'
html_title = project
html_baseurl = f"{settings['doc_host']}{settings['doc_baseurl']}/"
html_static_path = ['static']
html_css_files = ['site.css']
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = 'mathml'
html_theme_options = dict(source_repository='', top_of_page_buttons=[])
pygments_style, pygments_dark_style = 'friendly', 'github-dark'

def mathml(self, node, block=False):
    "Formulas as MathML, which browsers draw themselves"
    formula = re.sub(r'\\frac(\d)(\d)', r'\\frac{\1}{\2}', node.astext())
    try: self.body.append(tex2mathml(formula, as_block=block))
    except MathError as e: logging.getLogger(__name__).warning('formula %s: %s', formula, e, location=node)
    raise nodes.SkipNode

def setup(app):
    app.add_html_math_renderer('mathml', (mathml, None), (lambda self, node: mathml(self, node, True), None))
    return dict(parallel_read_safe=True, parallel_write_safe=True)
