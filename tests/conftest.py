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
