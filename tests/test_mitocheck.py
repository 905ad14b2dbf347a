"MitoCheck: fetching from a server that works, lies or is silent; and the real crops, where there is a local copy"
import functools, hashlib, os, socket, threading, time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np, pytest
from skimage.io import imsave

from apoptosis_nb.core import InputError
from apoptosis_nb.dsb2018 import fetch as fetch_dsb2018
from apoptosis_nb.mitocheck import fetch, load_mitocheck, plate_split, read_registry

needs_data = pytest.mark.skipif('APOPTOSIS_NB_DATA' not in os.environ, reason='APOPTOSIS_NB_DATA is unset: the MitoCheck crops are not here')


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): self.server.requests.append(self.path)


@pytest.fixture
def source(tmp_path):
    "A server with twelve crops: its address, their registry, the list of what was asked for"
    registry = {}
    for i in range(12):
        path = tmp_path/'source'/f'Class{i % 3}'/f'PLLT{i:04}_01--a.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        imsave(path, np.full((64, 64), i, np.uint8), check_contrast=False)
        registry[f'{path.parent.name}/{path.name}'] = hashlib.sha256(path.read_bytes()).hexdigest()
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=tmp_path/'source'))
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/', registry, server.requests
    server.shutdown()
    server.server_close()


def test_fetches_once(source, tmp_path):
    address, registry, requests = source
    folder = fetch(tmp_path/'cache', address, registry)
    crops, table = load_mitocheck(folder)
    assert crops.shape == (12, 64, 64) and set(table.file) == set(registry)
    assert all(crops[i].max() == int(o[4:]) for i, o in enumerate(table.plate))
    fetch(folder, address, registry)
    assert len(set(requests)) == 12


def test_what_comes_is_no_zip(source, tmp_path):
    "a page of a proxy, say; the next time the right file is asked for"
    address, registry, requests = source
    for _ in range(2):
        with pytest.raises(InputError, match='no zip file'): fetch_dsb2018(tmp_path/'cache', f'{address}{next(iter(registry))}', {'images/a.tif': '0'*64})
    assert len(requests) == 2


def test_goes_on_where_it_stopped_and_replaces_what_is_damaged(source, tmp_path):
    address, registry, requests = source
    folder = fetch(tmp_path/'cache', address, registry)
    before = len(requests)
    lost, cut = list(registry)[3:5]
    (folder/lost).unlink()
    (folder/cut).write_bytes((folder/cut).read_bytes()[:40])
    fetch(folder, address, registry)
    assert set(requests[before:]) == {f'/{o}' for o in (lost, cut)} # a slow answer may be asked for twice


def test_a_changed_file_is_refused(source, tmp_path):
    address, registry, _ = source
    with pytest.raises(InputError, match='APOPTOSIS_NB_DATA'): fetch(tmp_path/'cache', address, dict.fromkeys(registry, '0'*64))
    assert not list((tmp_path/'cache').glob('*/*.png'))


def test_a_silent_server_is_given_up_within_seconds(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        start = time.monotonic()
        with pytest.raises(InputError, match='go online'): fetch(tmp_path, f'http://127.0.0.1:{silent.getsockname()[1]}/', timeout=2)
    assert time.monotonic()-start < 10


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match='holds no <class>'): load_mitocheck(tmp_path)


@needs_data
def test_real_crops():
    crops, table = load_mitocheck()
    assert crops.shape == (len(table), 64, 64) and crops.dtype == np.uint8
    assert {'Apoptosis', 'Interphase', 'Metaphase', 'Prometaphase'} <= set(table.class_name)
    assert table.plate.str.fullmatch(r'PLLT\d{4}').all()


@needs_data
def test_known_crops_are_unchanged():
    registry, base = read_registry(), os.path.join(os.environ['APOPTOSIS_NB_DATA'], 'mitocheck')
    known = [o for o in registry if os.path.exists(os.path.join(base, o))]
    assert known, 'the local copy shares no file with the registry'
    for name in known[::25]:
        with open(os.path.join(base, name), 'rb') as f: assert hashlib.sha256(f.read()).hexdigest() == registry[name]


@needs_data
@pytest.mark.parametrize('seed', range(3))
def test_plate_splits_are_disjoint_and_balanced(seed):
    table = plate_split(load_mitocheck()[1], seed=seed)
    assert (table.groupby('plate').split.nunique() == 1).all()
    rare = table[table.class_name == 'Apoptosis'].split.value_counts(normalize=True)
    assert abs(rare - [dict(train=.6, validation=.2, test=.2)[o] for o in rare.index]).max() < .1
