"README.md is what nbs/index.ipynb gives; if not: make readme"
import json, re

import pytest

@pytest.fixture(scope='module')
def index(root):
    "The notebook, run anew"
    import nbformat
    from nbclient import NotebookClient
    notebook = nbformat.read(root / 'nbs/index.ipynb', as_version=4)
    return NotebookClient(notebook, timeout=120, kernel_name='python3', resources=dict(metadata=dict(path=str(root / 'nbs')))).execute()

def test_readme(root, index):
    from nbconvert import MarkdownExporter
    text, _ = MarkdownExporter(exclude_input=True).from_notebook_node(index)
    assert (root / 'README.md').read_text(encoding='utf-8').strip() == text.strip()

def test_links(root):
    text = (root / 'README.md').read_text(encoding='utf-8')
    links = [o for o in re.findall(r'\]\(([^)]+)\)', text) if '://' not in o]
    assert 'LICENSE' in links and not [o for o in links if not (root / o).exists()]

def test_every_notebook_is_listed(root):
    text = (root / 'README.md').read_text(encoding='utf-8')
    paths = [o for folder in ('nbs', 'nbs/guides', 'nbs/study') for o in (root / folder).glob('[0-9]*.ipynb')]
    assert not [o.name for o in paths if f'({o.relative_to(root)})' not in text]

def test_no_number_is_typed(root):
    "results come from tables: no text cell holds a table of them"
    cells = json.loads((root / 'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    assert not [o for o in cells if o['cell_type'] == 'markdown' and re.search(r'F1|\.\d{3}', ''.join(o['source']))]
