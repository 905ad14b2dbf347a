"Scans of images of every shape, and groups of chance positions"
import numpy as np, pandas as pd, pytest

from apoptosis_nb.classifier import Classifier, build_classifier, load_classifier
from apoptosis_nb.core import InputError
from apoptosis_nb.evaluation import match_events
from apoptosis_nb.scanning import CANDIDATE, DARK, detect, group_windows, NEAR, scan, window_corners, windows_to_events
from apoptosis_nb.spheroids import load_index, read_slice

@pytest.fixture(scope='module', params=['image', 'window'])
def classifier(request):
    import keras
    keras.utils.set_random_seed(0)
    return Classifier(build_classifier(32, filters=2, n_blocks=2, dense=8), normalisation=request.param, batch=32)

def picture(shape=(150, 130), dtype='uint16'):
    image = np.random.default_rng(0).normal(300, 10, shape)
    image[20:40, 30:45] += 2000
    return image.astype(dtype)

def test_an_image_smaller_than_the_window_is_refused(classifier):
    with pytest.raises(InputError, match='20 x 130 px, smaller than the window of 32 x 32 px'): scan(picture((20, 130)), classifier)

@pytest.mark.parametrize('image, message', [(np.zeros((3, 64, 64)), 'plane'), (np.full((64, 64), np.nan), 'NaN'), (np.zeros((64, 64), complex), 'complex'), (np.zeros((0, 64)), 'no pixels')])
def test_what_is_no_image_is_refused(classifier, image, message):
    with pytest.raises(InputError, match=message): scan(image, classifier)

@pytest.mark.parametrize('stride_px', [0, 33])
def test_a_stride_that_leaves_gaps_is_refused(classifier, stride_px):
    with pytest.raises(InputError, match='stride'): window_corners((64, 64), 32, stride_px)

LAST_DIGITS = 1e-6 # of a float32 probability: a processor may add up windows of another batch in another order

def test_the_batches_do_not_matter(classifier):
    whole = scan(picture(), classifier, 16)
    for batch in 1, 7, 50: pd.testing.assert_frame_equal(scan(picture(), classifier, 16, batch=batch), whole, rtol=0, atol=LAST_DIGITS)

def test_dark_windows_are_not_asked_about(classifier):
    image = np.zeros((96, 96), 'uint16')
    image[:20, :20] = np.random.default_rng(0).integers(500, 999, (20, 20))
    windows, all_asked = scan(image, classifier, 32), scan(image, classifier, 32, dark=None)
    assert (windows.probability[1:] == 0).all() and windows.probability[0] == all_asked.probability[0] > 0
    black = classifier.probabilities(np.zeros((1, 32, 32), np.float32))[0]
    assert np.allclose(all_asked.probability[1:], black)

@pytest.fixture(scope='module')
def trained(): return load_classifier('window_64_simulated')

def slices(root): return [read_slice(row) for _, row in load_index(root / 'data/sample').iterrows()]

def test_dark_windows_hold_no_event(root, trained):
    for image in slices(root):
        skipped, asked = (windows_to_events(scan(image, trained, 16, dark=dark), CANDIDATE) for dark in (DARK, None))
        pd.testing.assert_frame_equal(skipped, asked)
        assert (scan(image, trained, 16).probability == 0).any()

@pytest.mark.parametrize('stride_px', [16, 24, 32])
def test_a_dense_scan_finds_the_events_of_the_exact_one(root, trained, stride_px):
    n = 0
    for image in slices(root):
        image = image[:-7, 5:] # neither side a multiple of 16
        exact, dense = (scan(image, trained, stride_px, dense=dense) for dense in (False, True))
        assert exact.drop(columns='probability').equals(dense.drop(columns='probability'))
        same = np.isclose(exact.probability, dense.probability, rtol=0, atol=LAST_DIGITS)
        assert (same | (dense.probability < NEAR)).all()
        for how in (lambda dense: windows_to_events(scan(image, trained, stride_px, dense=dense), CANDIDATE), lambda dense: detect(image, trained, stride_px, dense=dense)):
            places = [how(o)[['y_px', 'x_px']] for o in (False, True)]
            assert len(match_events(*places, 10)[0]) == len(places[0]) == len(places[1])
        n += (~same).sum()
    assert n, 'nothing was computed densely'

def test_where_windows_share_little_a_dense_scan_is_an_exact_one(root, trained):
    image = slices(root)[0]
    pd.testing.assert_frame_equal(scan(image, trained, 64, dense=True), scan(image, trained, 64))

def test_windows_that_are_brightened_one_by_one_share_nothing(classifier):
    if classifier.normalisation == 'image': assert len(scan(picture(), classifier, 4, dense=True)) == len(scan(picture(), classifier, 4))
    else:
        with pytest.raises(InputError, match='dense=False'): scan(picture(), classifier, 4, dense=True)

def test_an_image_of_one_window_has_one(classifier):
    assert len(scan(picture((32, 32)), classifier)) == 1

def test_nothing_to_detect_is_an_empty_table(classifier):
    events = detect(np.zeros((64, 64)), classifier, threshold=1.1)
    assert len(events) == 0 and list(events) == ['y_px', 'x_px', 'score', 'n_windows']

@pytest.mark.parametrize('stride_px', [16, 32])
def test_distant_events_are_found_one_by_one(stride_px):
    random = np.random.default_rng(0)
    found = n_events = right = 0
    for _ in range(20):
        grid = np.stack(np.meshgrid(np.arange(100, 900, 150), np.arange(100, 900, 150)), axis=-1).reshape(-1, 2)
        truth = grid[random.permutation(len(grid))[:12]] + random.integers(-25, 26, (12, 2))
        corners = window_corners((1000, 1000), 64, stride_px)
        sees = (abs(corners[:, None] + 31.5 - truth) < 28).all(2).any(1) # an event at the very edge is not recognised
        table = pd.DataFrame(dict(y0=corners[:, 0], x0=corners[:, 1], y1=corners[:, 0] + 64, x1=corners[:, 1] + 64, probability=.9))[sees]
        events = group_windows(table)[['y_px', 'x_px']].to_numpy()
        found, n_events, right = found + len(events), n_events + len(truth), right + len(match_events(events, truth, 30)[0])
    assert right / n_events > .97 and right / found > .97

def test_only_a_better_event_that_stays_takes_a_worse_ones_place(monkeypatch):
    "three places in a row, each nearer than a quarter of a window to the next: the middle one goes, the last stays"
    import apoptosis_nb.scanning as scanning
    events = pd.DataFrame(dict(y_px=100., x_px=[100., 115., 130.], score=0., n_windows=1))
    monkeypatch.setattr(scanning, '_ask', lambda crops, classifier, views: np.array([.9, .8, .7]))
    class Window: window_px, normalisation = 64, 'range'
    assert scanning._look_again(np.zeros((200, 240), np.float32), events, Window).x_px.tolist() == [100, 130]
