"`pip install` of this package in a Google Colab runtime changes no package that is there; the setup cell, and every notebook with Colab's versions"
import glob, json, os, re, shutil, subprocess, sys, types
from pathlib import Path

import pytest

from apoptosis_nb.colab import OFFER, SETUP, offer

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'nbs/guides').glob('*.ipynb')) + sorted((ROOT / 'nbs/study').glob('*.ipynb'))
REQUIREMENT = re.search(r"'apoptosis_nb\[([\w,]+)\] @", SETUP)[1]

def freezes():
    "Colab's published lists of packages, the current one first: APOPTOSIS_NB_COLAB_FREEZE names one; the past ones lie beside it, or in a folder colab beside the data"
    data = os.environ.get('APOPTOSIS_NB_DATA')
    places = [os.environ.get('APOPTOSIS_NB_COLAB_FREEZE'), Path(data).parent / 'colab/pip-freeze.gpu.txt' if data else None]
    current = next((Path(o) for o in places if o and Path(o).is_file()), None)
    return [current, *sorted(current.parent.glob('pip-freeze.gpu.*.txt'), reverse=True)] if current else []

def python_of_colab():
    "An interpreter that is Python 3.13, or None"
    names = [sys.executable, shutil.which('python3.13'), *glob.glob(os.path.expanduser('~/.pyenv/versions/3.13.*/bin/python'))]
    for name in filter(None, names):
        asked = subprocess.run([name, '-c', 'import sys; print(*sys.version_info[:2])'], capture_output=True, text=True)
        if asked.stdout.split() == ['3', '13']: return name

def canonical(name): return re.sub(r'[-_.]+', '-', name).lower()

def pretend(freeze, site):
    "Lay the metadata, and nothing else, of the listed packages into `site`; returns name -> version"
    listed = re.findall(r'^([\w.-]+)==([^\s;]+)', freeze.read_text(), flags=re.M)
    listed = [(n, v) for n, v in listed if canonical(n) not in ('pip', 'setuptools', 'wheel')]
    for name, version in listed:
        info = site / f'{canonical(name).replace("-", "_")}-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        (info / 'INSTALLER').write_text('pip')
        (info / 'RECORD').touch()
    return {canonical(n): v for n, v in listed}

@pytest.fixture(scope='module', params=freezes() or [None], ids=lambda o: o.stem if o else 'none')
def colab(request, tmp_path_factory):
    "A Python whose metadata say that Colab's packages are installed, their versions, and their list"
    freeze, python = request.param, python_of_colab()
    if not freeze: pytest.skip("no list of Colab's packages: set APOPTOSIS_NB_COLAB_FREEZE to its pip-freeze.gpu.txt")
    if not python: pytest.skip('Colab runs Python 3.13, which is not installed here')
    venv = tmp_path_factory.mktemp('colab')
    subprocess.run([python, '-m', 'venv', venv], check=True)
    there = pretend(freeze, next(venv.glob('lib/python*/site-packages')))
    assert {'tensorflow', 'keras', 'numpy', 'ipywidgets'} <= set(there)
    listed = venv / 'installed.txt'
    listed.write_text(''.join(f'{name}=={version}\n' for name, version in there.items()))
    return venv / 'bin/python', there, listed

def would_install(python, project, report, *more):
    "name -> version of what `pip install project` would install"
    pip = [python, '-m', 'pip', 'install', '--quiet', '--dry-run', '--prefer-binary', '--report', report, *more, project]
    done = subprocess.run(pip, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode and 'connection' in done.stderr.lower(): pytest.skip('the package index cannot be reached')
    assert not done.returncode, done.stderr[-2000:]
    return {canonical(o['metadata']['name']): o['metadata']['version'] for o in json.loads(report.read_text())['install']}

def test_install_changes_nothing(colab, source):
    python, there, _ = colab
    assert set(would_install(python, source, source / 'report.json')) == {'apoptosis-nb'}

def test_review_extra_changes_nothing(colab, source):
    "the widget of the review runs on what Colab has"
    python, there, _ = colab
    assert set(would_install(python, f'{source}[review]', source / 'report.json')) == {'apoptosis-nb'}

def test_setup_cell_changes_nothing(colab, source):
    "with all that the notebooks use, and what is there as constraints: the newest of some packages would move numpy"
    python, there, listed = colab
    wanted = would_install(python, f'{source}[{REQUIREMENT}]', source / 'report.json', '-c', listed)
    assert {'apoptosis-nb', 'roifile', 'liffile', 'czifile', 'nd2'} <= set(wanted) and not set(wanted) & set(there)

def test_papermill_changes_nothing(colab, source):
    "a sweep needs papermill alone; snakemake brings its own packaging and smart-open, and has no place there"
    python, there, listed = colab
    wanted = would_install(python, 'papermill', source / 'report.json', '-c', listed)
    assert 'papermill' in wanted and not set(wanted) & set(there)

@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda o: o.stem)
def test_cells_are_the_same_everywhere(path):
    "if not: make setup-cells"
    cells = [''.join(o['source']) for o in json.loads(path.read_text(encoding='utf-8'))['cells'] if o['cell_type'] == 'code']
    assert cells[0] == SETUP and sum('google.colab' in o for o in cells) == 1
    assert cells[-1] in [OFFER.format(o) for o in ('results', 'out', 'weights')]
    badge = f'https://colab.research.google.com/github/apoptosis-nb/apoptosis_nb/blob/main/{path.relative_to(ROOT)}'
    assert badge in path.read_text(encoding='utf-8')

def test_offer(monkeypatch, tmp_path):
    "nothing happens before a button is pressed"
    pytest.importorskip('ipywidgets')
    done, shown = [], []
    monkeypatch.setitem(sys.modules, 'google.colab', types.SimpleNamespace(files=types.SimpleNamespace(download=done.append), drive=types.SimpleNamespace(mount=done.append)))
    monkeypatch.setattr('IPython.display.display', shown.append)
    monkeypatch.setattr('apoptosis_nb.colab.DRIVE', str(tmp_path / 'drive'))
    (tmp_path / 'quick/tables').mkdir(parents=True)
    (tmp_path / 'quick/tables/table_1.csv').write_text('f1\n.5\n')
    offer(tmp_path / 'quick')
    assert not done and not (tmp_path / 'quick.zip').exists()
    for button in shown[0].children: button.click()
    assert done == [str(tmp_path / 'quick.zip'), str(tmp_path / 'drive')] and (tmp_path / 'drive/MyDrive/apoptosis_nb/quick.zip').is_file()

def test_what_comes_first_is_said(monkeypatch, tmp_path, capsys):
    from apoptosis_nb.study import results_folder
    results_folder(tmp_path / 'quick')
    assert not capsys.readouterr().out
    monkeypatch.setitem(sys.modules, 'google.colab', types.SimpleNamespace())
    results_folder(tmp_path / 'quick')
    assert "run_study('60_windows')" in capsys.readouterr().out
    (tmp_path / 'quick/tables/splits.csv').write_text('slice\n')
    results_folder(tmp_path / 'quick')
    assert not capsys.readouterr().out

# Every notebook with Colab's versions
@pytest.fixture(scope='session')
def colab_venv():
    "A virtual environment with Colab's Python and its exact versions of what the notebooks import"
    found, python = freezes(), python_of_colab()
    if not found: pytest.skip("no list of Colab's packages: set APOPTOSIS_NB_COLAB_FREEZE to its pip-freeze.gpu.txt")
    if not python: pytest.skip('Colab runs Python 3.13, which is not installed here')
    venv = ROOT / '.venv-colab'
    listed = dict(re.findall(r'^([\w.-]+)==([^\s;]+)', found[0].read_text(), flags=re.M))
    constraints = ''.join(f'{k}=={v}\n' for k, v in listed.items())
    marker = venv / 'constraints.txt'
    if not marker.is_file() or marker.read_text() != constraints:
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([python, '-m', 'venv', venv], check=True)
        (venv / 'wanted.txt').write_text(constraints)
        pip = [venv / 'bin/python', '-m', 'pip', 'install', '--quiet', '--prefer-binary', '--disable-pip-version-check', '-c', venv / 'wanted.txt']
        subprocess.run([*pip, 'ipykernel', 'ipywidgets', 'notebook', 'nbconvert', 'papermill', 'setuptools', '-e', f'{ROOT}[export,review]'], check=True)
        marker.write_text(constraints)
    code = 'import importlib.metadata as m, json, sys; print(json.dumps({o: m.version(o) for o in sys.argv[1:]}))'
    exact = ['tensorflow', 'keras', 'numpy', 'scikit-image', 'ipywidgets', 'ipykernel']
    there = json.loads(subprocess.run([venv / 'bin/python', '-c', code, *exact], capture_output=True, text=True, check=True).stdout)
    assert there == {o: listed[o] for o in exact}
    return venv

@pytest.fixture(scope='session')
def checkout(tmp_path_factory):
    "What the notebooks run in"
    folder = tmp_path_factory.mktemp('checkout')
    for name in ('nbs', 'apoptosis_nb', 'config', 'data/sample', 'data/thesis'): shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('Snakefile', 'settings.ini'): shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / 'docs/reference', folder / 'docs/reference')
    return folder

def in_colab(venv, checkout, command, at):
    "Run a command with Colab's versions first in the path"
    environment = dict(os.environ, PATH=f'{venv / "bin"}{os.pathsep}{os.environ["PATH"]}', PYTHONPATH=str(checkout), TF_CPP_MIN_LOG_LEVEL='3', PYDEVD_DISABLE_FILE_VALIDATION='1')
    done = subprocess.run(command, cwd=at, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not done.returncode, done.stdout[-6000:]

@pytest.mark.colab
def test_setup_cell(colab_venv, source, tmp_path):
    "run as on Colab, with a copy of this repository in the place of GitHub's: the package is there without a restart, and no version has changed"
    git = ['git', '-C', source, '-c', 'user.name=test', '-c', 'user.email=test@example.org']
    for command in (['init', '-q', '-b', 'main'], ['add', '-A'], ['commit', '-q', '-m', 'all']): subprocess.run([*git, *command], check=True)
    runtime, content = tmp_path / 'runtime', tmp_path / 'content' # where no copy of the package lies
    content.mkdir()
    subprocess.run([python_of_colab(), '-m', 'venv', runtime], check=True)
    site, seen = (next(o.glob('lib/python*/site-packages')) for o in (runtime, colab_venv))
    (site / 'colab.pth').write_text(f'{seen}\n')
    code = f"import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n{SETUP}\nimport apoptosis_nb; print(apoptosis_nb.__file__)"
    fetched = {'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': f'url.file://{source}.insteadOf', 'GIT_CONFIG_VALUE_0': 'https://github.com/apoptosis-nb/apoptosis_nb'}
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | fetched
    versions = lambda: dict(o.split('==') for o in subprocess.run([runtime / 'bin/python', '-m', 'pip', 'list', '--format=freeze'], env=environment, capture_output=True, text=True, check=True).stdout.split())
    before = versions()
    done = subprocess.run([runtime / 'bin/python', '-c', code], cwd=content, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-3000:]
    assert 'No GPU' in done.stdout and str(site) in done.stdout
    after = versions()
    assert {k: after[k] for k in before} == before and {'liffile', 'nd2'} <= set(after) - set(before)

@pytest.mark.colab
@pytest.mark.parametrize('name', [o.stem for o in sorted((ROOT / 'nbs').glob('*.ipynb'))])
def test_library_notebook(colab_venv, checkout, name):
    in_colab(colab_venv, checkout, ['papermill', f'{name}.ipynb', f'../{name}.ipynb', '-k', 'python3', '--no-progress-bar'], checkout / 'nbs')

SMALL = {'30_train_on_your_data': dict(example_spheroids=3, example_px=320, seed=2, epochs=1, tile_px=96, per_plane=1, simulated_spheroids=1)}

@pytest.mark.colab
@pytest.mark.parametrize('name', [o.stem for o in NOTEBOOKS if o.parent.name == 'guides'])
def test_guide(colab_venv, checkout, name):
    in_colab(colab_venv, checkout, ['papermill', f'nbs/guides/{name}.ipynb', f'{name}.ipynb', '-k', 'python3', '--no-progress-bar', '-y', json.dumps(SMALL.get(name, {}))], checkout)

@pytest.mark.colab
def test_study_as_far_as_a_notebook(colab_venv, source, tmp_path):
    "what a notebook of the study starts from, made by a Snakemake that is not installed"
    for name in ('nbs', 'config', 'Snakefile'): (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    git = ['git', '-C', source, '-c', 'user.name=test', '-c', 'user.email=test@example.org']
    for command in (['init', '-q', '-b', 'main'], ['add', '-A'], ['commit', '-q', '-m', 'all']): subprocess.run([*git, *command], check=True)
    installed = lambda: subprocess.run([colab_venv / 'bin/python', '-m', 'pip', 'list', '--format=freeze'], capture_output=True, text=True, check=True).stdout
    before, code = installed(), f"import apoptosis_nb.colab as colab; colab.REPOSITORY = 'file://{source}'; colab.run_study('50_split', 'smoke', 1)"
    in_colab(colab_venv, ROOT, [colab_venv / 'bin/python', '-c', code], tmp_path)
    assert (tmp_path / 'results/smoke/tables/splits.csv').is_file() and (tmp_path / 'data/simulated/smoke/index.csv').is_file()
    assert installed() == before

@pytest.mark.colab
def test_study(colab_venv, checkout):
    "at small sizes; snakemake is this environment's, papermill and the kernels are Colab's"
    pytest.importorskip('snakemake')
    in_colab(colab_venv, checkout, [sys.executable, '-m', 'snakemake', '--configfile', 'config/smoke.yaml', '--cores', '1', '--retries', '1'], checkout)
    executed = {o.stem for o in (checkout / 'results/smoke/notebooks').glob('*.ipynb')}
    assert not [o.stem for o in NOTEBOOKS if o.parent.name == 'study' and not any(e.startswith(o.stem.split('_')[0] + '_') for e in executed)]
