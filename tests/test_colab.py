"`pip install` of this package in a Google Colab runtime changes no package that is there"
import glob, json, os, re, shutil, subprocess, sys
from pathlib import Path

import pytest

def colab_freeze():
    "Colab's published list of packages: named by APOPTOSIS_NB_COLAB_FREEZE, or in a folder colab beside the data"
    data = os.environ.get('APOPTOSIS_NB_DATA')
    places = [os.environ.get('APOPTOSIS_NB_COLAB_FREEZE'), Path(data).parent / 'colab/pip-freeze.gpu.txt' if data else None]
    return next((Path(o) for o in places if o and Path(o).is_file()), None)

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

@pytest.fixture(scope='module')
def colab(tmp_path_factory):
    "A Python whose metadata say that Colab's packages are installed, and their versions"
    freeze, python = colab_freeze(), python_of_colab()
    if not freeze: pytest.skip("no list of Colab's packages: set APOPTOSIS_NB_COLAB_FREEZE to its pip-freeze.gpu.txt")
    if not python: pytest.skip('Colab runs Python 3.13, which is not installed here')
    venv = tmp_path_factory.mktemp('colab')
    subprocess.run([python, '-m', 'venv', venv], check=True)
    there = pretend(freeze, next(venv.glob('lib/python*/site-packages')))
    assert {'tensorflow', 'keras', 'numpy', 'ipywidgets'} <= set(there)
    return venv / 'bin/python', there

def would_install(python, project, report):
    "name -> version of what `pip install project` would install"
    pip = [python, '-m', 'pip', 'install', '--quiet', '--dry-run', '--prefer-binary', '--report', report, project]
    done = subprocess.run(pip, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode and 'connection' in done.stderr.lower(): pytest.skip('the package index cannot be reached')
    assert not done.returncode, done.stderr[-2000:]
    return {canonical(o['metadata']['name']): o['metadata']['version'] for o in json.loads(report.read_text())['install']}

def test_install_changes_nothing(colab, source):
    python, there = colab
    assert set(would_install(python, source, source / 'report.json')) == {'apoptosis-nb'}

def test_review_extra_changes_nothing(colab, source):
    "the widget of the review runs on what Colab has"
    python, there = colab
    assert set(would_install(python, f'{source}[review]', source / 'report.json')) == {'apoptosis-nb'}

def test_extras_leave_the_runtime_alone(colab, source, settings):
    "snakemake brings its own packaging and smart-open; what notebooks compute and show with stays"
    python, there = colab
    wanted = would_install(python, f'{source}[study,lif,czi,nd2]', source / 'report.json')
    runtime = {canonical(re.match(r'[\w.-]+', o)[0]) for o in settings['requirements'].split()} | {'ipywidgets', 'ipykernel', 'notebook', 'protobuf', 'pillow'}
    assert {'papermill', 'liffile', 'czifile', 'nd2'} <= set(wanted) and not runtime & set(wanted)
