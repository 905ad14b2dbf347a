"The commands, with a network that was never trained"
import errno, json, subprocess, sys
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np, pandas as pd, pytest, tifffile
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
    assert written == ['events.csv', 'events/plane.png', 'events/stack.png', 'geojson/plane.geojson', 'geojson/stack.geojson', 'images.csv', 'nuclei.csv', 'overlays/plane.png', 'overlays/stack_z1.png', 'overlays/stack_z2.png', *rois, 'run.json', 'stacks.csv'], 'nothing half-written is left'
    stack, = pd.read_csv(tmp_path / 'out' / 'stacks.csv').to_dict('records')
    assert stack.pop('z_step_um') == 10 and [k for k, v in stack.items() if pd.isna(v)] == ['n_intact', 'apoptotic_ratio'] # the window finds events alone
    assert stack['n_planes'] == 2 and stack['n_apoptotic'] == images.n_apoptotic[0] > 0

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
    write_stack(tmp_path / 'narrow.ome.tif', picture(40, 200), .65) # less than a window
    write_stack(tmp_path / 'small.ome.tif', picture(12, 200), .65) # less than a nucleus
    write_stack(tmp_path / 'channels.ome.tif', np.stack([picture(100, 100)]*2), .65, axes='CYX')
    (tmp_path / 'text.tif').write_text('no image')
    names = ['small.ome.tif', 'text.tif', 'missing.tif', 'channels.ome.tif', 'good.ome.tif', 'narrow.ome.tif']
    done, events, images = detect(*(tmp_path / o for o in names))
    assert done.exit_code == 1 and 'Traceback' not in done.output
    assert images.image.tolist() == names and images.error.isna().tolist() == [False]*4 + [True]*2
    for name, error in zip(names[:4], images.error): assert name in error and error in done.output
    assert 'less than a nucleus' in images.error[0] and set(events.image) == {'good.ome.tif', 'narrow.ome.tif'}
    narrow = events[events.image == 'narrow.ome.tif']
    assert (narrow.y_px < 40).all() and (narrow.x_px < 200).all()

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

def test_nothing_that_can_be_read_replaces_nothing(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(64, 64), .65)
    (tmp_path / 'text.tif').write_text('no image')
    detect(tmp_path / 'a.ome.tif')
    for words, message in (([tmp_path / 'typo.tif'], 'typo.tif: there is no such file'), ([tmp_path / 'text.tif', tmp_path / 'typo.tif'], 'earlier results were kept'), ([tmp_path / 'a.ome.tif', '--channel', 5], 'earlier results were kept')):
        done, events, _ = detect(*words, '--overwrite')
        assert done.exit_code == 1 and message in done.output and events.image.tolist() == ['a.ome.tif'], done.output
    done, events, _ = detect(tmp_path / 'typo.tif', out='other')
    assert done.exit_code == 1 and events is None and not (tmp_path / 'other').exists()

def test_what_is_left_of_a_review_is_said(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(64, 64), .65)
    detect(tmp_path / 'a.ome.tif')
    (tmp_path / 'out/corrections.csv').write_text('image,z\n')
    done, _, _ = detect(tmp_path / 'a.ome.tif', '--overwrite')
    assert done.exit_code == 0 and 'corrections.csv' in done.output and (tmp_path / 'out/corrections.csv').exists()

def test_a_damaged_record(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(64, 64), .65)
    detect(tmp_path / 'a.ome.tif')
    (tmp_path / 'out/run.json').write_text('{')
    done, events, _ = detect(tmp_path / 'a.ome.tif', '--overwrite')
    assert done.exit_code == 1 and 'run.json: cannot be read' in done.output and 'Traceback' not in done.output and len(events)

def test_a_folder_that_cannot_be(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(64, 64), .65)
    (tmp_path / 'file').write_text('')
    for out in ('file', 'file/within'):
        done, _, _ = detect(tmp_path / 'a.ome.tif', out=out)
        assert done.exit_code == 1 and 'is a file' in done.output and 'Traceback' not in done.output

def test_pictures_of_all_images(tmp_path):
    "a stack's plane may be called as another image"
    write_stack(tmp_path / 'in/a.tif', np.stack([picture(64, 64)]*2), .65)
    write_stack(tmp_path / 'in/a_z1.tif', picture(64, 64), .65)
    done = CliRunner().invoke(app, ['analyze', str(tmp_path / 'in'), '--method', 'acas', '--out', str(tmp_path / 'out')])
    assert done.exit_code == 0 and len(list((tmp_path / 'out/overlays').iterdir())) == 3, done.output

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
    path = segmenter(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data)//2:len(data)//2 + 50] = bytes(50)
    path.write_bytes(data)
    done = CliRunner().invoke(app, ['analyze', str(tmp_path / 'text.keras'), '--weights', str(path), '--out', str(tmp_path / 'out')])
    assert done.exit_code == 1 and 'tiny.keras' in done.output and 'damaged' in done.output

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
    height, width = 33, 47 # less than a window
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

BAD = { # what is among a hundred images: how it is made, what is said of it
    'cut.tif': (lambda path, plane: (tifffile.imwrite(path, plane), path.write_bytes(path.read_bytes()[:9000])), 'copy it again'),
    'empty.tif': (lambda path, plane: path.touch(), 'the file is empty; copy it again'),
    'photo.tif': (lambda path, plane: tifffile.imwrite(path, np.stack([plane, plane.T, plane[::-1]], -1), photometric='rgb'), 'save the channel of the nuclei'),
    'nan.tif': (lambda path, plane: tifffile.imwrite(path, np.where(plane > np.percentile(plane, 99), np.nan, plane).astype('f4')), 'NaN or infinite; replace them'),
    'dot.tif': (lambda path, plane: tifffile.imwrite(path, plane[:1, :1]), 'less than a nucleus; take a larger image')}

@pytest.mark.parametrize('method, n', [('unet', 100), ('window', 9), ('acas', 9), ('both', 9)])
def test_bad_images_among_good_ones(root, tmp_path, method, n):
    planes = [o[140:236, 140:236] for o in read_stack(root / 'data/sample/s01_4Gy_sph1.ome.tif').pixels]
    good = {f'{i:03}.ome.tif': planes[i % 3] for i in range(n - len(BAD))}
    for name, plane in good.items(): write_stack(tmp_path / 'in' / name, plane, .65)
    for name, (make, _) in BAD.items(): make(tmp_path / 'in' / name, planes[0])
    def run(out, *paths, pictures): return CliRunner().invoke(app, ['analyze', *map(str, paths), '--method', method, '--out', str(tmp_path / out), '--pictures' if pictures else '--no-pictures'])
    assert run('alone', *(tmp_path / f'in/{i:03}.ome.tif' for i in range(3)), pictures=False).exit_code == 0
    done = run('out', tmp_path / 'in', pictures=n < 100)
    assert done.exit_code == 1 and 'Traceback' not in done.output
    alone, images, events = (pd.read_csv(tmp_path / o).astype(dict(image=str)) for o in ('alone/images.csv', 'out/images.csv', 'out/events.csv'))
    assert images.image.tolist() == sorted([*good, *BAD]) and len(images) == n
    errors = images.set_index('image').error.dropna()
    assert set(errors.index) == set(BAD)
    for name, (_, remedy) in BAD.items(): assert str(tmp_path / 'in' / name) in errors[name] and remedy in errors[name] and errors[name] in done.output
    found, counts = images[images.error.isna()], ['n_intact', 'n_apoptotic', 'apoptotic_ratio']
    assert len(found) == len(good) and alone[counts[:2]].sum().sum() > 0
    for i, row in enumerate(found[counts].to_numpy(float)): assert np.array_equal(row, alone[counts].iloc[i % 3].to_numpy(float), equal_nan=True)
    assert events.groupby('image').size().reindex(found.image, fill_value=0).tolist() == found.n_apoptotic.tolist()
    written = [str(o.relative_to(tmp_path / 'out')) for o in (tmp_path / 'out').rglob('*') if o.is_file()]
    listed = json.loads((tmp_path / 'out/run.json').read_text())
    assert sorted(written) == sorted(['images.csv', 'events.csv', 'nuclei.csv', 'run.json', *listed['files']]) and listed['finished'] and not listed['faults']
    assert not any(Path(o).name.startswith('.') or Path(bad).stem in o for o in written for bad in BAD)

def test_a_fault_of_ours_is_a_row(tmp_path, monkeypatch):
    "in the middle of an image: the others are analysed, and nothing of that one is left"
    import apoptosis_nb.analysis
    for name in 'abc': write_stack(tmp_path / f'in/{name}.ome.tif', picture(64, 64), .65)
    write = apoptosis_nb.analysis.write_geojson
    def fail(path, *words): write(path, *words) if path.stem != 'b' else 1/0
    monkeypatch.setattr(apoptosis_nb.analysis, 'write_geojson', fail)
    done = CliRunner().invoke(app, ['analyze', str(tmp_path / 'in'), '--method', 'acas', '--out', str(tmp_path / 'out')])
    images, listed = pd.read_csv(tmp_path / 'out/images.csv'), json.loads((tmp_path / 'out/run.json').read_text())
    assert done.exit_code == 1 and 'b.ome.tif: could not be analysed (ZeroDivisionError' in done.output and 'Traceback' not in done.output
    assert images.error.isna().tolist() == [True, False, True] and 'ZeroDivisionError' in listed['faults']['b.ome.tif']
    assert {o.name.split('.')[0] for o in (tmp_path / 'out/overlays').iterdir()} == {'a', 'c'} == {o.split('/')[1].split('.')[0] for o in listed['files']}

@pytest.mark.parametrize('stop, at', [(KeyboardInterrupt, 'analyze_plane'), (OSError(28, 'No space left on device'), 'write_geojson')])
def test_what_was_found_before_a_stop_is_kept(stop, at, tmp_path, monkeypatch):
    "the user interrupts the third image, or it finds no room on the disk: the two before it are there, pictures too"
    import apoptosis_nb.analysis as analysis
    for name in 'abcd': write_stack(tmp_path / f'in/{name}.ome.tif', picture(64, 64), .65)
    usual, calls = getattr(analysis, at), []
    def stops(*words, **how):
        calls.append(words)
        if len(calls) == 3: raise stop
        return usual(*words, **how)
    monkeypatch.setattr(analysis, at, stops)
    with pytest.raises(stop if isinstance(stop, type) else OSError): analysis.analyze([tmp_path / 'in'], tmp_path / 'out', 'acas', quiet=True)
    images, listed = pd.read_csv(tmp_path / 'out/images.csv'), json.loads((tmp_path / 'out/run.json').read_text())
    assert images.image.tolist() == ['a.ome.tif', 'b.ome.tif'] and images.error.isna().all() and not listed['finished']
    assert {o.name[0] for o in (tmp_path / 'out/labels').iterdir()} == {'a', 'b'}

def test_a_stop_while_a_picture_is_drawn(tmp_path, monkeypatch):
    "what was counted stays, with its pictures"
    import apoptosis_nb.analysis as analysis
    write_stack(tmp_path / 'in/a.ome.tif', picture(64, 64), .65)
    class Stopped(Future):
        def result(self, timeout=None):
            if not self.asked: self.asked = True; raise KeyboardInterrupt
            return super().result(timeout)
        asked = False
    class Artist(ThreadPoolExecutor):
        def submit(self, *words):
            drawn = Stopped()
            drawn.set_result(super().submit(*words).result())
            return drawn
    monkeypatch.setattr(analysis, 'ThreadPoolExecutor', Artist)
    with pytest.raises(KeyboardInterrupt): analysis.analyze(tmp_path / 'in', tmp_path / 'out', 'acas', quiet=True)
    images, listed = pd.read_csv(tmp_path / 'out/images.csv'), json.loads((tmp_path / 'out/run.json').read_text())
    assert images.image.tolist() == ['a.ome.tif'] and not listed['finished'] and (tmp_path / 'out/labels/a.ome.tif').exists()
    write_stack(tmp_path / 'in/a.png.tif', picture(64, 64), .65) # a review knows the files' names however far the run came
    from apoptosis_nb.review import Review
    assert Review(tmp_path / 'out').stems['a.ome.tif'] == listed['stems']['a.ome.tif'] == 'a'

def test_names_that_file_systems_and_figures_stumble_over(tmp_path):
    names = ['well $A_$ 1', '照射後'*26 + 'あ', 'a$b_c$']
    for name in names: write_stack(tmp_path / f'in/{name}.tif', picture(64, 64), .65)
    done = CliRunner().invoke(app, ['analyze', str(tmp_path / 'in'), '--method', 'acas', '--out', str(tmp_path / 'out')])
    assert done.exit_code == 0 and 'Glyph' not in done.output
    assert sorted(pd.read_csv(tmp_path / 'out/images.csv').image) == sorted(f'{o}.tif' for o in names) and len(list((tmp_path / 'out/overlays').iterdir())) == 3

def test_an_image_whose_pictures_cannot_be_written_is_a_row(tmp_path, monkeypatch):
    import apoptosis_nb.analysis as analysis
    for name in 'abc': write_stack(tmp_path / f'in/{name}.ome.tif', picture(64, 64), .65)
    usual = analysis.write_geojson
    def fails(path, *words):
        if path.stem == 'b': raise OSError(errno.ENAMETOOLONG, 'File name too long', str(path))
        usual(path, *words)
    monkeypatch.setattr(analysis, 'write_geojson', fails)
    found = analysis.analyze(str(tmp_path / 'in'), tmp_path / 'out', 'acas', quiet=True)
    assert found.images.image.tolist() == ['a.ome.tif', 'b.ome.tif', 'c.ome.tif'] and found.images.error.isna().tolist() == [True, False, True]

def test_what_folders_hold(tmp_path):
    "names that need care, links, another spelling of a path, and what is no image"
    folder = tmp_path / 'Tag 1 (Kölle) [x] %d'
    for name in ('ä ö.ome.tif', 'UPPER.TIF', 'b.tiff', 'b.png.tif', '細胞.tif', "it's #1.tif"): write_stack(folder / name, picture(64, 64), .65)
    Image.fromarray(picture(64, 64, 'uint8')).save(folder / 'b.png')
    for name in ('.hidden.tif', 'notes.txt'): (folder / name).write_text('x')
    (folder / 'more.tif').mkdir()
    (folder / 'link.tif').symlink_to(folder / 'b.tiff')
    (folder / 'dead.tif').symlink_to(folder / 'gone')
    done = CliRunner().invoke(app, ['analyze', str(folder), str(folder / '../in' / '..' / folder.name / 'b.tiff'), '--method', 'acas', '--out', str(folder / 'Ergebnis ü')])
    images = pd.read_csv(folder / 'Ergebnis ü/images.csv')
    assert done.exit_code == 1 and images.image[images.error.notna()].tolist() == ['dead.tif'], done.output
    assert images.image.tolist() == sorted(['ä ö.ome.tif', 'UPPER.TIF', 'b.tiff', 'b.png.tif', '細胞.tif', "it's #1.tif", 'b.png', 'link.tif', 'dead.tif'])
    assert {o.name for o in (folder / 'Ergebnis ü/masks').iterdir()} == {f'{o}.ome.tif' for o in ('ä ö', 'UPPER', 'b.tiff', 'b.png', 'b.png_2', '細胞', "it's #1", 'link')}

def test_grey_values_do_not_matter(root, tmp_path):
    "bit depth, offset and gain drop out; what spoils counts is said; noise holds nothing"
    plane = read_stack(root / 'data/sample/s01_4Gy_sph1.ome.tif').pixels[0][140:236, 140:236].astype(float)
    unit = plane/plane.max()
    same = dict(plain=plane.astype('u2'), twelve_bit=(unit*4095).astype('u2'), offset=(unit*20000 + 20000).astype('u2'), unit=unit.astype('f4'), negative=(unit*20000 - 10000).astype('i2'))
    other = dict(inverted=(65535*(1 - unit)).astype('u2'), overexposed=np.minimum(unit*3, .3), bits=unit > .3, noise=np.random.default_rng(0).normal(100, 5, (96, 96)).astype('u2'))
    (tmp_path / 'in').mkdir()
    for name, pixels in (same | other).items(): tifffile.imwrite(tmp_path / f'in/{name}.tif', pixels)
    done = CliRunner().invoke(app, ['analyze', str(tmp_path / 'in'), '--out', str(tmp_path / 'out'), '--no-pictures', '--pixel-size', '.65'])
    assert done.exit_code == 0, done.output
    counts = pd.read_csv(tmp_path / 'out/images.csv').set_index('image')[['n_intact', 'n_apoptotic']]
    assert (counts.loc[[f'{o}.tif' for o in same]] - counts.loc['plain.tif']).abs().max(axis=None) <= 1 and counts.loc['plain.tif'].sum() > 1 and counts.loc['noise.tif'].sum() == 0
    said = [o for o in done.output.splitlines() if o.startswith('Note')]
    assert [o.split('.tif')[0] for o in said] == ['Note: bits', 'Note: inverted', 'Note: overexposed'] and 'invert it' in said[1]

def test_a_pixel_size_that_cannot_be(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(200, 200), .1) # discs of 13 px
    done, _, images = detect(tmp_path / 'a.ome.tif', '--pixel-size', 8)
    assert done.exit_code == 1 and 'no more than a dot' in images.error[0]
    done, *_ = detect(tmp_path / 'a.ome.tif', '--pixel-size', 2.9, out='wide')
    assert done.exit_code == 0 and 'Note: a.ome.tif: its pixels are said to be 2.9 um' in done.output

def test_notes_do_not_bury_the_counts(detect, tmp_path):
    for i in range(13): Image.fromarray(picture(100, 100, dtype='uint8')).save(tmp_path / f'{i}.png')
    done, *_ = detect(*tmp_path.glob('*.png'), '--no-pictures')
    assert done.output.count('Note: ') == 11 and 'Note: 3 more such notes are in' in done.output

def test_a_place_that_is_none(detect, tmp_path):
    for place in ('12;40', '', 'nan,5', '1,2,3'):
        done, *_ = detect(tmp_path / 'a.tif', '--core', place)
        assert done.exit_code == 1 and f'--core {place}: give x and y' in done.output

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

def test_a_wrong_pixel_size_loses_nothing(detect, tmp_path):
    write_stack(tmp_path / 'a.ome.tif', picture(150, 200), .65)
    before = detect(tmp_path / 'a.ome.tif')[1]
    done, events, _ = detect(tmp_path / 'a.ome.tif', '--overwrite', '--pixel-size', 6.5)
    assert done.exit_code == 1 and 'The earlier results were kept' in done.stderr and len(events) == len(before) > 0

def test_folders_within_are_named(detect, tmp_path):
    for o in ('in/deep/a.tif', 'in/b.tif', 'other/deep/c.tif'):
        (tmp_path / o).parent.mkdir(parents=True, exist_ok=True)
        write_stack(tmp_path / o, picture(150, 200), .65)
    done, _, images = detect(tmp_path / 'in', out='in/out')
    assert done.exit_code == 0 and list(images.image) == ['b.tif'] and 'its folders deep are not among these' in done.stderr
    done, *_ = detect(tmp_path / 'other', out='none')
    assert done.exit_code == 1 and 'name the folders in it that do: deep' in done.stderr
