"What the documentation site is made of; the site itself is built by `make docs`"
import ast, json, re, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

@pytest.fixture(scope='module')
def pages(root):
    sys.path.insert(0, str(root / 'docs'))
    try: import pages
    finally: sys.path.remove(str(root / 'docs'))
    return pages

@pytest.fixture(scope='module')
def made(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp('pages')
    return folder, pages.main(folder)

def test_pages(made, package):
    "every link leads somewhere, every figure and table has its notebook, every public name its entry"
    folder, staged = made
    assert {'index.md', 'thesis.md', 'study.md', 'nbs/00_core.ipynb', 'nbs/study/70_train.ipynb'} <= set(staged)
    for path in package.glob('[a-z]*.py'):
        public = next(ast.literal_eval(o.value) for o in ast.parse(path.read_text(encoding='utf-8')).body if isinstance(o, ast.Assign) and o.targets[0].id == '__all__')
        text = (folder / f'api/{path.stem}.md').read_text(encoding='utf-8')
        assert not [o for o in public if f'}} {o}' not in text], path.name
    thesis = (folder / 'thesis.md').read_text(encoding='utf-8')
    assert all(f'### Table {n}' in thesis for n in range(1, 10)) and thesis.count('### Figure') == 37

def answers(node):
    "Does this function give something back?"
    inside = [o for o in node.body if not isinstance(o, ast.FunctionDef | ast.ClassDef)]
    return any(isinstance(o, ast.Return) and o.value is not None or isinstance(o, ast.Yield) for statement in inside for o in ast.walk(statement))

@pytest.mark.parametrize('name', sorted(o.stem for o in (ROOT / 'apoptosis_nb').glob('[a-z]*.py')))
def test_docments(pages, package, name):
    "every public function says what each parameter is and what it gives back"
    module = pages.read_module(package / f'{name}.py')
    nodes = {o.lineno: o for o in ast.walk(ast.parse((package / f'{name}.py').read_text(encoding='utf-8'))) if isinstance(o, ast.FunctionDef)}
    public = [(o.name, o) for o in module.items] + [(f'{o.name}.{m.name}', m) for o in module.items for m in o.members]
    silent = [f'{called}({parameter})' for called, o in public for parameter, said in o.parameters if not said]
    silent += [f'{called} returns' for called, o in public if o.line in nodes and o.kind != 'class' and answers(nodes[o.line]) and not o.returns]
    silent += [called for called, o in public if o.kind in ('function', 'method', 'property') and o.name != 'on_epoch_end' and not (o.doc or o.returns)]
    assert not silent

def test_equations(pages, made):
    "the thesis beside ours says where each equation that the library needs is computed"
    text = (made[0] / 'thesis.md').read_text(encoding='utf-8').split('## Equations')[1]
    assert {int(o) for o in re.findall(r'- Eq\. (\d+): \{py:obj\}', text)} >= {4, 13, 14, 15, 16, 19, 20, 21, 22}

def test_directives_are_heeded(made):
    cells = json.loads((made[0] / 'nbs/23_study.ipynb').read_text(encoding='utf-8'))['cells']
    code = [''.join(o['source']) for o in cells if o['cell_type'] == 'code']
    assert any('def save_figure' in o for o in code) and not [o for o in code if o.startswith('#|') or 'TemporaryDirectory()' in o and 'import' in o]

def test_signatures(pages, tmp_path):
    "comments after parameters, without an import"
    path = tmp_path / 'lengths.py'
    path.write_text('''"""Lengths"""
__all__ = ['scaled', 'Ruler']
# %% ../nbs/07_lengths.ipynb #c0ffee00
def scaled(
    lengths, # (N,) in um
    *factors, # float
    unit='um', # 'um' or 'px'; see `Ruler`
    **more,
): # (N,) as given
    "Lengths, scaled"
    return lengths

class Ruler:
    "What measures"
    def __init__(self, step=.5, # um
                 ends=(0, 1)): pass
    def read(self, at): # float, um
        return at
''', encoding='utf-8')
    module = pages.read_module(path)
    scaled, ruler = module.items
    assert scaled.signature == "(lengths, *factors, unit='um', **more)" and scaled.returns == '(N,) as given' and scaled.cell == 'c0ffee00'
    assert scaled.parameters == [('lengths', '(N,) in um'), ('*factors', 'float'), ('unit', "'um' or 'px'; see `Ruler`"), ('**more', '')]
    assert ruler.signature == '(step=.5, ends=(0, 1))' and ruler.parameters == [('step', 'um'), ('ends', '')] and ruler.members[0].returns == 'float, um'

def test_lost_links(pages):
    with pytest.raises(SystemExit, match='nbs/99_nothing.ipynb'): pages.check_links('[a](nbs/99_nothing.ipynb)', 'index.md', set())
    assert pages.check_links('[a](Makefile), `[b](c)`', 'index.md', set()) == f'[a]({pages.GITHUB}/blob/main/Makefile), `[b](c)`'
