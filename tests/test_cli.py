"The commands, with a network that was never trained"
import subprocess, sys
from importlib.util import find_spec

import numpy as np, pandas as pd, pytest
from PIL import Image
from typer.testing import CliRunner

from apoptosis_nb.cli import app
from apoptosis_nb.images import read_stack, write_stack
from apoptosis_nb.rois import read_rois

def picture(height, width, dtype='uint16'):
    "Noise around 100 with a bright disc every 30 px, so that every window holds something"
    y, x = np.mgrid[:height, :width] % 30 - 15
    return (np.random.default_rng(0).normal(100, 5, y.shape) + 100*(y**2 + x**2 < 40)).astype(dtype)

@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    "A tiny classifier of 64 px windows that answers .9 to everything"
    import keras
    from apoptosis_nb.classifier import Classifier, build_classifier
    keras.utils.set_random_seed(0)
    model = build_classifier(64, filters=1, n_blocks=1, dense=2)
    model.layers[-1].set_weights([np.zeros((2, 1)), np.array([np.log(9)])])
    path = tmp_path_factory.mktemp('weights') / 'tiny.keras'
    Classifier(model, threshold=.5, pixel_size_um=.65).save(path)
    return path

@pytest.fixture
def detect(weights, tmp_path):
    def detect(*words, out='out'):
        done = CliRunner().invoke(app, ['analyze', *map(str, words), '--method', 'window', '--weights', str(weights), '--out', str(tmp_path / out)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        tables = [pd.read_csv(tmp_path / out / f'{o}.csv') if (tmp_path / out / f'{o}.csv').is_file() else None for o in ('events', 'images')]
        return done, *tables
    return detect

def test_help_is_there_at_once():
    "What commands need is imported when they run"
    code = 'import sys; from apoptosis_nb.cli import app; print(*{o.split(".")[0] for o in sys.modules})'
    loaded = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout.split()
    assert not {'numpy', 'pandas', 'keras', 'tensorflow', 'skimage', 'matplotlib'} & set(loaded)
    for command in ('simulate', 'fetch', 'analyze', 'compare'): assert CliRunner().invoke(app, [command, '--help']).exit_code == 0

def test_planes_and_stacks(detect, tmp_path):
    write_stack(tmp_path / 'stack.ome.tif', np.stack([picture(100, 130)]*2), .65, 10)
    write_stack(tmp_path / 'plane.ome.tif', picture(64, 64), .65)
    done, events, images = detect(tmp_path / 'stack.ome.tif', tmp_path / 'plane.ome.tif')
    assert done.exit_code == 0, done.output
    assert list(events) == 'image z event x_px y_px x_um y_um n_fragments score distance_um'.split()
    assert list(images) == 'image z method height_px width_px pixel_size_um n_intact n_apoptotic apoptotic_ratio seconds error'.split()
    assert images[['image', 'z', 'height_px', 'width_px']].values.tolist() == [['stack.ome.tif', 1, 100, 130], ['stack.ome.tif', 2, 100, 130], ['plane.ome.tif', 1, 64, 64]]
    assert images.error.isna().all() and events.groupby(['image', 'z'], sort=False).size().tolist() == images.n_apoptotic.tolist()
    assert (events.x_um - events.x_px*.65).abs().max() < .01 and events.score.sub(.9).abs().max() < 1e-5
    last = events[events.image == 'plane.ome.tif']
    assert last[['event', 'x_px', 'y_px']].values.tolist() == [[1, 31.5, 31.5]]
    written = sorted(str(o.relative_to(tmp_path / 'out')) for o in (tmp_path / 'out').rglob('*.*'))
    rois = ['rois/plane.zip', 'rois/stack.zip'] if find_spec('roifile') else []
    assert written == ['events.csv', 'events/plane.png', 'events/stack.png', 'geojson/plane.geojson', 'geojson/stack.geojson', 'images.csv', 'nuclei.csv', 'overlays/plane.png', 'overlays/stack_z1.png', 'overlays/stack_z2.png', *rois, 'run.json'], 'nothing half-written is left'

def test_another_pixel_size_is_rescaled(detect, tmp_path):
    "the window of 64 px of .65 um just fits into 128 px of .325 um, and its middle is the image's"
    Image.fromarray(picture(128, 128, dtype='uint8')).save(tmp_path / 'fine.png')
    done, events, images = detect(tmp_path / 'fine.png', '--pixel-size', .325)
    assert done.exit_code == 0, done.output
    assert events[['x_px', 'y_px']].values.tolist() == [[63.5, 63.5]] and images.pixel_size_um.tolist() == [.325] and images.width_px.tolist() == [128]
    done, events, images = detect(tmp_path / 'fine.png', '--pixel-size', 1.3, out='coarse')
    assert done.exit_code == 0 and images.n_apoptotic[0] > 1 and events.x_px.max() < 128

def test_a_png_does_not_say_its_pixel_size(detect, tmp_path):
    "discs of 13 px are nuclei of about 12 um"
    Image.fromarray(picture(100, 100, dtype='uint8')).save(tmp_path / 'a.png')
    done, events, images = detect(tmp_path / 'a.png')
    assert done.exit_code == 0 and 'Note: a.png' in done.output and 'estimated' in done.output and .8 < images.pixel_size_um[0] < 1.2
    Image.fromarray(np.full((100, 100), 7, 'uint8')).save(tmp_path / 'flat.png')
    done, events, images = detect(tmp_path / 'flat.png', out='flat')
    assert done.exit_code == 0 and 'too few nuclei' in done.output and images.pixel_size_um[0] == .65 and len(events) == 0

def test_files_that_cannot_be_used(detect, tmp_path):
    write_stack(tmp_path / 'good.ome.tif', picture(100, 100), .65)
    write_stack(tmp_path / 'small.ome.tif', picture(40, 200), .65)
    write_stack(tmp_path / 'channels.ome.tif', np.stack([picture(100, 100)]*2), .65, axes='CYX')
    (tmp_path / 'text.tif').write_text('no image')
    names = ['small.ome.tif', 'text.tif', 'missing.tif', 'channels.ome.tif', 'good.ome.tif']
    done, events, images = detect(*(tmp_path / o for o in names))
    assert done.exit_code == 1 and 'Traceback' not in done.output
    assert images.image.tolist() == names and images.error.isna().tolist() == [False]*4 + [True]
    for name, error in zip(names[:4], images.error): assert name in error and error in done.output
    assert 'smaller than the window of 64 x 64 px' in images.error[0] and set(events.image) == {'good.ome.tif'}

def test_a_chosen_channel(detect, tmp_path):
    write_stack(tmp_path / 'channels.ome.tif', np.stack([np.zeros((100, 100), 'uint16'), picture(100, 100)]), .65, axes='CYX')
    found = [detect(tmp_path / 'channels.ome.tif', '--channel', i, out=f'channel{i}')[2].n_apoptotic[0] for i in (0, 1)]
    assert found[0] == 0 < found[1]

@pytest.mark.parametrize('value', [0, 500])
def test_no_contrast_no_event(detect, tmp_path, value):
    "though this network says yes to everything"
    write_stack(tmp_path / 'black.ome.tif', np.full((100, 100), value, 'uint16'), .65)
    done, events, images = detect(tmp_path / 'black.ome.tif')
    assert done.exit_code == 0 and len(events) == 0 and images.n_apoptotic.tolist() == [0]

def test_tables_are_not_overwritten(detect, tmp_path):
    for name in ('a.ome.tif', 'b.ome.tif'): write_stack(tmp_path / name, picture(64, 64), .65)
    detect(tmp_path / 'a.ome.tif')
    done, events, _ = detect(tmp_path / 'b.ome.tif')
    assert done.exit_code == 1 and 'events.csv' in done.output and events.image.tolist() == ['a.ome.tif']
    done, events, _ = detect(tmp_path / 'b.ome.tif', '--overwrite')
    assert done.exit_code == 0 and events.image.tolist() == ['b.ome.tif']

def test_files_of_one_name_are_told_apart(detect, tmp_path):
    for folder in ('one', 'two'): write_stack(tmp_path / folder / 'a.ome.tif', picture(64, 64), .65)
    _, events, _ = detect(tmp_path / 'one/a.ome.tif', tmp_path / 'two/a.ome.tif')
    assert events.image.nunique() == 2

@pytest.mark.parametrize('words, message', [(['--stride-px', 65], 'stride'), (['--pixel-size', 50], 'plausible'), (['--stride-px', 0], 'stride'), (['--channel', -1], 'channel')])
def test_options_that_cannot_be_meant(detect, tmp_path, words, message):
    write_stack(tmp_path / 'a.ome.tif', picture(64, 64), .65)
    done, events, images = detect(tmp_path / 'a.ome.tif', *words)
    assert done.exit_code and message in done.output and events is None and images is None

def test_weights_that_are_none(tmp_path):
    (tmp_path / 'text.keras').write_text('no network')
    for name in ('text.keras', 'missing.keras'):
        done = CliRunner().invoke(app, ['analyze', 'a.tif', '--weights', str(tmp_path / name), '--out', str(tmp_path / 'out')])
        assert done.exit_code == 1 and name in done.output and 'Traceback' not in done.output

def segmenter(tmp_path):
    "An untrained UNet: what it says does not matter, where it is written does"
    import keras
    from apoptosis_nb.unet import Segmenter, build_unet
    keras.utils.set_random_seed(0)
    Segmenter(build_unet(2, 2), pixel_size_um=.65).save(tmp_path / 'tiny.keras')
    return tmp_path / 'tiny.keras'

@pytest.mark.parametrize('method', ['unet', 'both', 'acas'])
def test_labels_and_tables_agree(tmp_path, method):
    write_stack(tmp_path / 'in/a.ome.tif', np.stack([picture(90, 110)]*2), .65, 10)
    height, width = (66, 70) if method == 'both' else (33, 47) # a window of 64 px must fit in
    write_stack(tmp_path / 'in/b.tif', picture(height, width), .65)
    words = ['analyze', str(tmp_path / 'in'), '--out', str(tmp_path / 'out'), '--method', method, '--core', '10,20']
    done = CliRunner().invoke(app, words + (['--weights', str(segmenter(tmp_path))] if method == 'unet' else []))
    assert done.exit_code == 0, done.output
    images, events, nuclei = (pd.read_csv(tmp_path / f'out/{o}.csv') for o in ('images', 'events', 'nuclei'))
    assert images[['image', 'z', 'height_px', 'width_px']].values.tolist() == [['a.ome.tif', 1, 90, 110], ['a.ome.tif', 2, 90, 110], ['b.tif', 1, height, width]]
    for name in ('a', 'b'):
        planes, stem = images[images.image.str.startswith(name)], tmp_path / 'out'
        labels = [read_stack(stem / f'labels/{name}.ome.tif', channel=o).pixels for o in (0, 1)]
        classes = read_stack(stem / f'masks/{name}.ome.tif').pixels
        assert classes.shape == labels[0].shape == (len(planes), *planes[['height_px', 'width_px']].iloc[0])
        for z, row in enumerate(planes.itertuples()):
            numbers = [sorted(set(o[z].ravel()) - {0}) for o in labels]
            assert [len(o) for o in numbers] == [row.n_intact, row.n_apoptotic]
            assert numbers[0] == nuclei[(nuclei.image == row.image) & (nuclei.z == row.z)].nucleus.tolist() and numbers[1] == events[(events.image == row.image) & (events.z == row.z)].event.tolist()
            assert ((classes[z] == 2) == (labels[1][z] > 0)).all()
        if find_spec('roifile'): assert (read_rois(stem / f'rois/{name}.zip', classes.shape)[0] == labels[0]).all()
    for o in (events, nuclei): assert np.allclose(o.distance_um.astype(float), np.hypot(o.x_px.astype(float) - 10, o.y_px.astype(float) - 20)*.65, atol=.01)

def test_a_place_that_is_none(detect, tmp_path):
    done, *_ = detect(tmp_path / 'a.tif', '--core', '12;40')
    assert done.exit_code == 1 and '--core 12;40' in done.output

def test_simulate(tmp_path):
    words = ['simulate', str(tmp_path / 'cells'), '--samples', '1', '--spheroids-per-dose', '1', '--size-px', '256', '--count-scale', '.1', '--workers', '1']
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and '6 slices of 2 spheroids' in done.output, done.output
    again = CliRunner().invoke(app, [*words, '--seed', '1'])
    assert again.exit_code == 1 and 'another seed' in again.output

def test_fetch_elsewhere(tmp_path, monkeypatch):
    import apoptosis_nb.mitocheck
    monkeypatch.setattr(apoptosis_nb.mitocheck, 'fetch', lambda folder=None: folder)
    done = CliRunner().invoke(app, ['fetch', 'mitocheck', '--out', str(tmp_path)])
    assert done.exit_code == 0 and str(tmp_path) in done.output
    assert CliRunner().invoke(app, ['fetch', 'cats']).exit_code == 2
