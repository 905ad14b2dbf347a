"The classical annotator on images that it must survive, and on samples that it does not know"
import numpy as np, pytest

from apoptosis_nb.acas import annotate, annotate_slices
from apoptosis_nb.core import InputError
from apoptosis_nb.evaluation import score_events, score_together
from apoptosis_nb.simulation import simulate_spheroid
from apoptosis_nb.spheroids import SpheroidId

@pytest.fixture(scope='module')
def spheroid(): return simulate_spheroid(SpheroidId(13, 4, 1), seed=2, size_px=600, count_scale=.5)

def test_it_finds_most_nuclei_and_many_events(spheroid):
    scores = dict(nuclei=[], events=[])
    for z, plane in enumerate(spheroid.pixels, 1):
        found = annotate(plane, .65)
        for what, limit_um in ('nuclei', 5), ('events', 20):
            truth = getattr(spheroid, what)
            scores[what].append(score_events(getattr(found, what)[['y_px', 'x_px']], truth.loc[truth.z == z, ['y_px', 'x_px']], limit_um/.65))
    assert score_together(scores['nuclei'])['f1'] > .85 and score_together(scores['events'])['f1'] > .4

def test_no_nucleus_lies_under_an_event_and_none_is_empty(spheroid):
    found = annotate(spheroid.pixels[0], .65)
    assert (found.nuclei.area_um2 >= 20).all() and found.nuclei.nucleus.tolist() == list(range(1, found.nucleus_labels.max() + 1))
    for nucleus in np.unique(found.nucleus_labels[found.event_labels > 0]):
        if nucleus: assert (found.event_labels[found.nucleus_labels == nucleus] > 0).mean() < .1

@pytest.mark.parametrize('image', [np.zeros((40, 50), 'uint16'), np.full((40, 50), 65535, 'uint16'), np.ones((1, 1)), np.eye(33, dtype='uint8')*255,
    np.random.default_rng(0).poisson(100, (90, 110)).astype('uint16')], ids=['black', 'saturated', 'one pixel', 'diagonal', 'noise'])
def test_odd_images_are_annotated(image):
    found = annotate(image, .65)
    assert found.nucleus_labels.shape == found.event_labels.shape == image.shape

def test_an_image_of_one_nucleus_has_one():
    y, x = np.mgrid[:101, :97]
    image = 100 + 900*(np.hypot(y - 50, x - 48) < 11) + np.random.default_rng(0).normal(0, 9, y.shape)
    assert annotate(image, .65).counts == dict(n_intact=1, n_apoptotic=0, apoptotic_ratio=0)

@pytest.mark.parametrize('image, message', [(np.zeros((3, 9, 9)), 'plane'), (np.full((9, 9), np.nan), 'NaN'), (np.zeros((0, 9)), 'no pixels')])
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(InputError, match=message): annotate(image, .65)

def test_reports_are_those_of_the_dataset(spheroid):
    nuclei, events, summary = annotate_slices(spheroid.pixels, .65, core_px=(0, 0))
    assert list(nuclei) == list(events) == ['slice', 'x_px', 'y_px', 'distance_um'] and summary.slice.tolist() == [1, 2, 3, 4]
    assert summary.n_intact.tolist() == [(nuclei.slice == o).sum() for o in (1, 2, 3, 4)] and summary.n_intact[3] <= summary.n_intact[:3].sum()
