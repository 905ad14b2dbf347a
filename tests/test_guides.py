"The guides run from top to bottom, as they are"
import pandas as pd, pytest
from typer.testing import CliRunner

from apoptosis_nb.analysis import analyze
from apoptosis_nb.cli import app

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('guides') # one for all: the second guide goes on with what the first one found

def run(root, folder, name, **parameters):
    papermill = pytest.importorskip('papermill')
    papermill.execute_notebook(root / f'nbs/guides/{name}.ipynb', folder / f'{name}.ipynb', parameters, cwd=folder, kernel_name='python3', progress_bar=False)

@pytest.mark.slow
def test_analyse_your_images(root, folder):
    run(root, folder, '10_analyse_your_images')
    images = pd.read_csv(folder / 'found/images.csv')
    assert images.z.tolist() == [1, 2, 3] and images.error.isna().all() and (images.n_intact > 0).all() and (images.pixel_size_um == .65).all()
    assert (folder / 'found/overlays/spheroid_z1.png').is_file()
    # the command and the function find the same
    assert CliRunner().invoke(app, ['analyze', str(folder / 'example'), '--out', str(folder / 'command')]).exit_code == 0
    analyze([folder / 'example'], folder / 'function', quiet=True)
    for name in ('images', 'events', 'nuclei'):
        guide, *others = (pd.read_csv(folder / o / f'{name}.csv', dtype=str).drop(columns='seconds', errors='ignore') for o in ('found', 'command', 'function'))
        assert len(guide) and all(guide.equals(o) for o in others)

@pytest.mark.slow
def test_review_and_correct(root, folder):
    "In the example the simulated truth reviews: afterwards the counts are the true ones"
    pytest.importorskip('anywidget', reason="the reviewer's package is missing: pip install anywidget")
    run(root, folder, '20_review_and_correct')
    events, corrected, rows = (pd.read_csv(folder / f'found/{o}.csv') for o in ('events', 'corrected/images', 'corrections'))
    assert len(rows) >= len(events) and corrected.n_unreviewed.sum() == 0 and not rows.duplicated(['z', 'kind', 'number']).any()
    counts = rows.groupby(['kind', 'action']).size()
    assert corrected.n_apoptotic.sum() == len(events) - counts.get(('event', 'reject'), 0) + counts.get(('event', 'add'), 0) + counts.get(('nucleus', 'relabel'), 0)
    assert pd.read_csv(folder / 'found/images.csv').n_apoptotic.sum() == len(events)

@pytest.mark.slow
def test_train_on_your_data(root, folder):
    "Smaller than as it is; whether the new network is better is not tested, but that it says so"
    run(root, folder, '30_train_on_your_data', example_spheroids=3, example_px=320, seed=2, epochs=1, tile_px=96, per_plane=1, simulated_spheroids=1)
    from apoptosis_nb.unet import load_segmenter
    about = load_segmenter(folder / 'training/my_unet.keras').about
    assert about['fine_tuned']['base'] == 'unet' and about['fine_tuned']['n_corrections'] > 0
    assert [(o['data'], o['network']) for o in about['tested']][::3] == [('your images', 'before'), ('simulated spheroids', 'before')]
    assert 'F1 of the' in (folder / '30_train_on_your_data.ipynb').read_text(encoding='utf-8')
