"What an installed package needs, and what it must not"
import subprocess, sys, zipfile

import pytest

HEAVY = {'nbdev', 'execnb', 'fastcore', 'ghapi', 'IPython', 'tensorflow', 'keras', 'snakemake', 'papermill'}

@pytest.mark.parametrize('module', ['', '.core', '.images', '.spheroids'])
def test_import_is_light(module, tmp_path):
    code = f'import sys, apoptosis_nb{module}; print(*{{o.split(".")[0] for o in sys.modules}})'
    loaded = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert 'apoptosis_nb' in loaded and not HEAVY & set(loaded)

def test_no_module_imports_development_tools(package):
    for path in package.glob('*.py'):
        if path.name == '_modidx.py': continue
        for line in path.read_text(encoding='utf-8').splitlines():
            words = line.replace(',', ' ').replace('.', ' ').split()
            if words[:1] in (['import'], ['from']): assert not {'nbdev', 'execnb', 'fastcore', 'ghapi'} & set(words), f'{path.name}: {line}'

def test_version(package, settings):
    import apoptosis_nb
    assert apoptosis_nb.__version__ == settings['version']

def test_citation(root, settings):
    text = (root / 'CITATION.cff').read_text(encoding='utf-8')
    assert f"version: {settings['version']}\n" in text and f"repository-code: {settings['git_url']}\n" in text.replace('%(user)s', settings['user'])

def test_ruff(root):
    "no name that is not defined, nothing imported and not used; the rules are in pyproject.toml"
    pytest.importorskip('ruff')
    done = subprocess.run([sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise', root], capture_output=True, text=True)
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-1000:]

def test_every_requirement_is_pinned(root, settings):
    "constraints.txt holds every package that settings.ini asks for"
    import re
    name = lambda o: re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', o)[0]).lower()
    lines = [o for o in (root / 'constraints.txt').read_text().splitlines() if not o.startswith('#')]
    assert all(re.fullmatch(r'[\w.-]+==[\w.+!]+', o) for o in lines)
    asked = {name(o) for key in ('requirements', 'study_requirements', 'dev_requirements', 'docs_requirements') for o in settings[key].split()}
    assert not asked - {name(o) for o in lines}

def test_wheel(source, root):
    "What is not code comes with the package: the thesis's tables, the networks and what was measured of them, the registers of real images"
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--disable-pip-version-check', '-w', source / 'dist', source]
    subprocess.run(pip, check=True, capture_output=True)
    with zipfile.ZipFile(next((source / 'dist').glob('*.whl'))) as f: names = set(f.namelist())
    assert {f'apoptosis_nb/thesis/{o.name}' for o in (root / 'data/thesis').glob('*.csv')} <= names
    assert {f'apoptosis_nb/{o}/{path.name}' for o in ('weights', 'registries') for path in (root / 'apoptosis_nb' / o).iterdir()} <= names and 'apoptosis_nb/cli.py' in names
    assert {f'apoptosis_nb/weights/{o}' for o in ('unet.keras', 'window_64.keras', 'results.csv')} <= names
