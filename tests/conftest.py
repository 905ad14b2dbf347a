import shutil
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

@pytest.fixture(scope='session')
def root(): return ROOT

@pytest.fixture(scope='session')
def package(root): return root / 'apoptosis_nb'

@pytest.fixture(scope='session')
def settings(root):
    config = ConfigParser(delimiters=['='])
    config.read(root / 'settings.ini', encoding='utf-8')
    return config['DEFAULT']

@pytest.fixture
def source(root, tmp_path):
    "A copy of what pip builds, so that the checkout stays as it is"
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'README.md', 'LICENSE'): shutil.copy(root / name, tmp_path)
    shutil.copytree(root / 'apoptosis_nb', tmp_path / 'apoptosis_nb', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(root / 'data/thesis', tmp_path / 'data/thesis')
    return tmp_path
