import os, shutil, socket, subprocess, sys, time, urllib.request
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

# A real browser
@pytest.fixture(scope='session')
def browser():
    "A headless Chromium"
    playwright = pytest.importorskip('playwright.sync_api', reason='no driver for a browser: pip install playwright')
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not chromium: pytest.skip('no Chromium: install it, e.g. apt-get install chromium')
    playwright.expect.set_options(timeout=15_000)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        yield browser
        browser.close()

@pytest.fixture
def open_page(browser):
    "A function that opens a page of a width and height in px, light or dark"
    pages = []
    def open_page(width, height, scheme='light'):
        page = browser.new_page(viewport=dict(width=width, height=height), color_scheme=scheme)
        page.set_default_timeout(30_000)
        pages.append(page)
        return page
    yield open_page
    for page in pages: page.close()

@pytest.fixture(scope='session')
def start_lab(root, tmp_path_factory):
    "A function that starts a JupyterLab in a folder, and returns its address"
    pytest.importorskip('jupyterlab', reason='no JupyterLab: pip install jupyterlab')
    servers = []
    def start(folder):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        own = {f'JUPYTER_{o}_DIR': str(tmp_path_factory.mktemp(o)) for o in ('CONFIG', 'RUNTIME')}
        path = os.pathsep.join(filter(None, [str(root), os.environ.get('PYTHONPATH')]))
        command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--IdentityProvider.token=', '--ServerApp.password=', '--expose-app-in-browser', f'--ServerApp.root_dir={folder}']
        servers.append(subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=path, **own), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(240):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api', timeout=2); break
            except OSError: time.sleep(.25)
        return f'http://127.0.0.1:{port}'
    yield start
    for server in servers:
        server.terminate()
        server.wait(20)
