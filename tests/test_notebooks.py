"The notebooks are clean, the modules are theirs, and the study's configuration fits its notebooks"
import ast, json, re, shutil, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY, STUDY, GUIDES = (sorted(ROOT.glob(f'nbs/{o}*.ipynb')) for o in ('', 'study/', 'guides/'))
CONFIGS = sorted(ROOT.glob('config/*.yaml'))
KB = 300
name = lambda path: path.stem

def load(path): return json.loads(path.read_text(encoding='utf-8'))
def source(cell): return ''.join(cell['source'])
def code_cells(path): return [o for o in load(path)['cells'] if o['cell_type'] == 'code']
def tagged(path): return [o for o in code_cells(path) if 'parameters' in o['metadata'].get('tags', [])]

def assigned(code):
    "The names that top-level assignments give a value"
    body = ast.parse(code).body
    targets = [t for o in body if isinstance(o, ast.Assign) for t in o.targets] + [o.target for o in body if isinstance(o, ast.AnnAssign)]
    return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}

@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A copy of the notebooks, cleaned, with the modules that nbdev makes from them"
    folder = tmp_path_factory.mktemp('made')
    shutil.copy(ROOT / 'settings.ini', folder)
    shutil.copytree(ROOT / 'nbs', folder / 'nbs')
    (folder / 'apoptosis_nb').mkdir()
    code = '''
from pathlib import Path
from nbdev.clean import nbdev_clean
from nbdev.export import nb_export
for path in sorted(Path('nbs').glob('*.ipynb')): nb_export(path, 'apoptosis_nb')
nbdev_clean('nbs', clear_all=False)'''
    subprocess.run([sys.executable, '-c', code], cwd=folder, check=True)
    return folder

def test_modules_are_those_of_the_notebooks(made, package):
    "if not: nbdev_export"
    modules = lambda folder: {o.name: o.read_text(encoding='utf-8') for o in folder.glob('*.py') if o.name not in ('__init__.py', '_modidx.py')}
    here, there = modules(package), modules(made / 'apoptosis_nb')
    assert not set(here) ^ set(there)
    assert not [o for o in here if here[o] != there[o]]

def test_notebooks_are_clean(made):
    "if not: nbdev_clean"
    paths = [o.relative_to(ROOT) for o in ROOT.glob('nbs/**/*.ipynb') if '.ipynb_checkpoints' not in o.parts]
    assert not [str(o) for o in paths if load(ROOT / o) != load(made / o)]

@pytest.mark.parametrize('path', LIBRARY + STUDY + GUIDES, ids=name)
def test_notebook(path):
    notebook = load(path)
    assert set(notebook['metadata']) <= {'kernelspec'} and notebook['metadata']['kernelspec']['name'] == 'python3'
    assert path.stat().st_size < KB * 1024, f'{path.stat().st_size / 1024:.0f} KB: show smaller or fewer pictures'
    assert source(notebook['cells'][0]).startswith('# '), 'begins with its title'
    outputs = [o for cell in code_cells(path) for o in cell['outputs']]
    assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr'], 'a traceback, warning or progress bar is stored'

def test_numbers_follow_the_data_flow():
    "a notebook imports only from lower numbers"
    exports = {}
    for path in LIBRARY:
        found = [source(o).split()[2] for o in code_cells(path) if source(o).startswith('#| default_exp')]
        exports |= {o: path.stem for o in found}
    for path in LIBRARY:
        if not path.stem[:2].isdigit(): continue
        for cell in code_cells(path):
            if not source(cell).startswith('#| export'): continue
            for node in ast.walk(ast.parse(source(cell))):
                if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('apoptosis_nb.'):
                    assert exports[node.module.split('.')[1]] < path.stem, f'{path.name} imports {node.module}'

@pytest.mark.parametrize('path', STUDY + GUIDES, ids=name)
def test_papermill_notebook(path):
    cells = code_cells(path)
    assert len(tagged(path)) == 1, 'papermill ignores what it is given unless exactly one cell is tagged parameters'
    assert assigned(source(tagged(path)[0]))
    assert not any(o['outputs'] or o['execution_count'] for o in cells), 'stored without outputs'
    assert not any(source(o).startswith('#| export') for o in cells)

@pytest.mark.parametrize('path', STUDY, ids=name)
def test_parameters_are_explained_and_checked(path):
    "`papermill --help-notebook` shows type and meaning of each; the next cell refuses what is not among them"
    inspect = pytest.importorskip('papermill.inspection').inspect_notebook
    explained = inspect(path)
    assert set(explained) == assigned(source(tagged(path)[0]))
    assert not [k for k, o in explained.items() if o['inferred_type_name'] == 'None' or not o['help']], 'name: type = value # meaning'
    cells = code_cells(path)
    assert 'check_parameters(globals()' in source(cells[cells.index(tagged(path)[0]) + 1])

def until_checked(path):
    "The cell of parameters and the one after it, compiled, up to the check; nothing but imports comes before that"
    cells = code_cells(path)
    body = ast.parse(source(cells[cells.index(tagged(path)[0]) + 1])).body
    at = next(i for i, o in enumerate(body) if isinstance(o, ast.Expr) and isinstance(o.value, ast.Call) and getattr(o.value.func, 'id', '') == 'check_parameters')
    assert all(isinstance(o, ast.Import | ast.ImportFrom) for o in body[:at]), 'check first, then compute'
    return compile(source(tagged(path)[0]), path.name, 'exec'), compile(ast.Module(body[:at + 1], []), path.name, 'exec')

FREE = {'data', 'hard_tiles', 'results', 'name', 'weights', 'start', 'simulated', 'simulated_only', 'after', 'unet', 'run', 'config', 'schedules', 'longer', 'variants'} # names of files, of which the next cell says that they are not there

@pytest.mark.parametrize('path', STUDY, ids=name)
def test_wrong_parameters_stop_the_notebook(path):
    "an unknown name, for each parameter a value of another type, and one that cannot be"
    from apoptosis_nb.core import InputError
    parameters, check = until_checked(path)
    def said(given='', **values): # the error's text; '' where the check lets it pass
        variables = {'In': ['', given, '']}
        exec(parameters, variables)
        variables.update(values)
        try: exec(check, variables)
        except InputError as e: return str(e)
        return ''
    defaults = {}
    exec(parameters, defaults)
    assert not said() and not said('# Parameters\nresults = "a"')
    assert said('# Parameters\nresuls = "a"').startswith('resuls: this notebook has no such parameter; did you mean results?')
    for name, kind in defaults['__annotations__'].items():
        assert said(**{name: {}}).startswith(f'{name} = {{}}: must be'), f'{name}: any type passes'
        impossible = {int: -1, float: -1., str: 'nonsense', list[int]: [-1], list[float]: [-1.], list[str]: ['nonsense']}.get(kind)
        if impossible is not None and name not in FREE: assert name in said(**{name: impossible}), f'{name} = {impossible} passes'

def test_a_misspelt_parameter_stops_a_notebook(tmp_path):
    pytest.importorskip('papermill')
    command = [sys.executable, '-m', 'papermill', ROOT / 'nbs/study/900_summary.ipynb', tmp_path / 'out.ipynb', '-k', 'python3', '--no-progress-bar', '-p', 'resuls', tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode and 'InputError: resuls: this notebook has no such parameter; did you mean results?' in done.stderr

def test_study_is_not_run_by_nbdev_test():
    assert (ROOT / 'nbs/study/.notest').exists()
    assert (ROOT / 'nbs/guides/.notest').exists()

@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_configured_parameters_exist(path):
    "papermill only warns about a misspelt parameter, and runs with the default"
    yaml = pytest.importorskip('yaml')
    config = yaml.safe_load(path.read_text(encoding='utf-8'))
    sections = [config['notebooks'], *config['window_px'].values()]
    assert len(sections) == 3
    sections += [{'160_unet_run': o} for o in (*config['unet_schedules'].values(), config['ablation']['given'], *config['ablation']['variants'].values())]
    for notebook, parameters in (pair for section in sections for pair in section.items()):
        study = ROOT / f'nbs/study/{notebook}.ipynb'
        assert study.exists(), f'{path.name} configures {notebook}, which is not in nbs/study'
        unknown = set(parameters or {}) - assigned(source(tagged(study)[0]))
        assert not unknown, f'{path.name}: {notebook} has no parameter {", ".join(sorted(unknown))}'

def test_rules_watch_the_modules_that_their_notebooks_use(root):
    "a rule runs again when a module changes that its notebook imports; those that draw or read are left out, as a change of a figure is no reason to train again, and the readers are watched by `simulate`"
    text = (root / 'Snakefile').read_text(encoding='utf-8')
    names = dict(modules=lambda *groups: {o for group in groups for o in group})
    exec('\n'.join(o for o in text.splitlines() if re.match(r"[A-Z]+ = \['?[a-z*]", o) or re.match(r'[A-Z]+ = \[\*', o)), names)
    rules = re.findall(r"notebook='(nbs/study/\w+\.ipynb)',\s*library=(modules\(.*\))$", text, re.M)
    assert len(rules) == text.count('library=')
    for path, library in rules:
        cells = json.loads((root / path).read_text(encoding='utf-8'))['cells']
        used = set(re.findall(r'from apoptosis_nb\.(\w+) import', '\n'.join(''.join(o['source']) for o in cells)))
        assert used - {'core', 'colab', 'plots', 'study', 'images', 'spheroids'} <= eval(library, names), path
