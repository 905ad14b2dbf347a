"Packages for bioimage.io, as the specification and other programs read them, and the cards in a shell"
import subprocess, sys, zipfile
from importlib.util import find_spec

import numpy as np, pytest
from typer.testing import CliRunner

from apoptosis_nb.cli import app

needs_spec = pytest.mark.skipif(not find_spec('bioimageio'), reason="bioimageio.spec is missing: pip install 'apoptosis_nb[export]'")

def run(*words):
    done = CliRunner().invoke(app, ['models', *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done

@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    "Some that were never trained: .keras files by name"
    import keras
    from apoptosis_nb.classifier import Classifier, build_classifier
    from apoptosis_nb.unet import Segmenter, build_unet
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp('networks')
    made = dict(unet=Segmenter(build_unet(2, 2), pixel_size_um=.5, counting=dict(event_score=.9)), window=Classifier(build_classifier(64, 2, 2, 8), .5, .65, 'range', views=8),
                crops=Classifier(build_classifier(64, 2, 2, 8), .5, .65, 'image', views=8, crop_normalisation='window', crop_log_odds=.3)) # as window_64 has it
    for name, o in made.items():
        o.model.set_weights([dict(unet=3, window=2, crops=2)[name]*w for w in o.model.get_weights()]) # so that the answers differ
        o.save(folder / f'{name}.keras')
    return {name: folder / f'{name}.keras' for name in made}

@pytest.fixture(scope='module')
def packages(networks):
    "The networks as packages, and their descriptions"
    from bioimageio.spec import load_description
    from apoptosis_nb.model_export import checks_offline
    found = {}
    for name, path in networks.items():
        done = run(path, '--export', path.with_suffix('.zip'))
        assert done.exit_code == 0, done.output
        with checks_offline(): found[name] = path.with_suffix('.zip'), load_description(path.with_suffix('.zip'))
    return found

@needs_spec
@pytest.mark.parametrize('name, um, sides', [('unet', .5, (52, 4)), ('window', .65, 64), ('crops', .65, 64)])
def test_the_specification_accepts_it(packages, name, um, sides):
    path, model = packages[name]
    assert model.validation_summary.status in ('passed', 'valid-format') and not model.validation_summary.errors and model.format_version.startswith('0.5')
    space = [o for o in model.inputs[0].axes if o.type == 'space']
    assert [(o.id, o.unit) for o in space] == [('y', 'micrometer'), ('x', 'micrometer')] and np.allclose([o.scale for o in space], um, rtol=1e-7)
    for o in space: assert (o.size if isinstance(o.size, int) else (o.size.min, o.size.step)) == sides
    assert model.weights.keras_v3 and model.weights.tensorflow_saved_model_bundle.parent == 'keras_v3' and str(model.license) == 'Apache-2.0' and model.covers and model.cite and model.authors
    with zipfile.ZipFile(path) as f: card = f.read('README.md').decode()
    assert 'Not measured' in card and '## Limits' in card and str(path.parent) not in card

def prepared(model, image):
    "The description's operations, done with NumPy alone"
    for step in model.inputs[0].preprocessing:
        if step.id == 'scale_range':
            axes = tuple('batch y x channel'.split().index(o) for o in step.kwargs.axes)
            low, high = np.percentile(image, [step.kwargs.min_percentile, step.kwargs.max_percentile], axis=axes, keepdims=True)
            image = (image - low)/(high - low + step.kwargs.eps)
        elif step.id == 'scale_linear': image = image*step.kwargs.gain + step.kwargs.offset
        else: assert step.id == 'ensure_dtype'
    return image.astype(np.float32)

@needs_spec
def test_other_programs_find_the_same(packages, networks, tmp_path):
    "TensorFlow alone, Keras alone and this package"
    import keras, tensorflow as tf
    from apoptosis_nb.classifier import load_classifier
    from apoptosis_nb.unet import load_segmenter
    for name, (path, model) in packages.items():
        with zipfile.ZipFile(path) as f: f.extractall(tmp_path / name)
        with zipfile.ZipFile(tmp_path / name / 'saved_model.zip') as f: f.extractall(tmp_path / name / 'saved')
        given, expected = (np.load(tmp_path / name / f'test_{o}.npy') for o in ('input', 'output'))
        ready = prepared(model, given)
        found = tf.saved_model.load(tmp_path / name / 'saved').signatures['serving_default'](image=tf.constant(ready))['probability'].numpy()
        assert np.ptp(expected) > .01 and abs(found - expected).max() < 1e-4
        assert abs(keras.saving.load_model(tmp_path / name / 'weights.keras').predict_on_batch(ready) - expected).max() < 1e-4
        here = load_segmenter(networks[name]).probabilities(given[0, ..., 0])[None] if name == 'unet' else load_classifier(networks[name]).predict(given[..., 0].astype(np.uint16 if name == 'crops' else np.uint8))[:, None]
        assert abs(here - expected).max() < (.005 if name == 'crops' else 1e-4) # percentiles here are the nearest grey value

@needs_spec
def test_nothing_is_overwritten_or_left_half(networks, tmp_path, monkeypatch):
    (tmp_path / 'a.zip').write_text('mine')
    done = run(networks['window'], '--export', tmp_path / 'a.zip')
    assert done.exit_code == 1 and 'a.zip: is there already' in done.output and (tmp_path / 'a.zip').read_text() == 'mine'
    import bioimageio.spec
    def full(*_, output_path): (output_path.write_text('half'), (_ for _ in ()).throw(OSError(28, 'No space left on device')))
    monkeypatch.setattr(bioimageio.spec, 'save_bioimageio_package', full)
    done = run(networks['window'], '--export', tmp_path / 'a.zip', '--overwrite')
    assert done.exit_code == 1 and 'No space left' in done.output and [o.name for o in tmp_path.iterdir()] == ['a.zip'] and (tmp_path / 'a.zip').read_text() == 'mine'

def test_what_is_missing_is_named(networks, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bioimageio.spec.model.v0_5', None)
    for name, message in ((networks['unet'], "pip install 'apoptosis_nb[export]'"), ('resnet', 'there are unet')):
        done = run(name, '--export', tmp_path / 'a.zip') if name != 'resnet' else run(name)
        assert done.exit_code == 1 and message in done.output and not list(tmp_path.iterdir())

@pytest.mark.parametrize('words, message', [(['--export', 'a.zip'], 'which network?'), (['unet', '--export', 'a.txt'], '.zip'), (['window_64_simulated', '--export', 'a.zip'], 'image')])
def test_what_cannot_be_exported(words, message, tmp_path, monkeypatch):
    if 'window_64_simulated' in words: pytest.importorskip('bioimageio.spec')
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 1 and message in done.output and not list(tmp_path.iterdir())

def test_cards_need_no_tensorflow():
    code = "import sys; from apoptosis_nb.cli import app\nfor o in ([], ['unet']): app(['models', *o], standalone_mode=False)\nassert not {'tensorflow', 'keras', 'skimage', 'matplotlib'} & set(sys.modules)"
    said = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout
    from apoptosis_nb.core import packaged_networks
    assert all(f'{o}: ' in said for o in packaged_networks()) and '## Limits' in said
