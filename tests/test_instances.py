"Scores of objects against StarDist's, computed or stored"
import numpy as np, pytest

from apoptosis_nb.core import InputError
from apoptosis_nb.instances import THRESHOLDS, agreement, class_iou, count_errors, instance_scores, overlaps

SAME = dict(tp='tp', fp='fp', fn='fn', n_true='n_true', n_pred='n_predicted', precision='precision', recall='recall', f1='f1', accuracy='accuracy',
            mean_matched_score='mean_matched_iou', panoptic_quality='panoptic_quality') # StarDist's names -> ours

def discs(seed, n=25, size=160, labels=None):
    "Discs at random places, later ones over earlier ones, with labels that have gaps"
    random, image = np.random.default_rng(seed), np.zeros((size, size), np.int32)
    y, x = np.mgrid[:size, :size]
    for i in range(n):
        cy, cx, r = random.uniform(0, size, 2).tolist() + [random.uniform(3, 14)]
        image[(y - cy)**2 + (x - cx)**2 <= r**2] = 3*i + 1
    return image

def pairs():
    for seed in range(8):
        truth = discs(seed)
        for shift in (0, 1, 3, 7): yield truth, np.roll(truth, shift, axis=seed % 2)
        yield truth, discs(seed + 100)
        yield truth, np.where(truth % 2, truth, 0)
        yield truth, (truth > 0).astype(int)
    yield np.zeros((9, 9), int), np.zeros((9, 9), int)
    yield np.zeros((9, 9), int), np.eye(9, dtype=int)
    yield np.eye(9, dtype=int), np.zeros((9, 9), int)

def test_scores_are_those_of_stardist():
    matching = pytest.importorskip('stardist.matching', reason='StarDist is not installed; the stored cases below stand for it').matching
    for truth, predicted in pairs():
        ours = instance_scores(truth, predicted, [.1, .3, *THRESHOLDS]).fillna(0)
        for theirs, row in zip(matching(truth, predicted, thresh=[.1, .3, *THRESHOLDS]), ours.itertuples()):
            for name, mine in SAME.items(): assert np.isclose(getattr(theirs, name), getattr(row, mine)), (name, theirs, row)

STORED = [ # seed of the truth, shift of the prediction in px, threshold; tp, fp, fn, f1, panoptic quality that stardist 0.9.2 gives
    (0, 1, .5, 25, 0, 0, 1.000000, 0.787873),
    (0, 3, .5, 15, 10, 10, 0.600000, 0.381936),
    (1, 3, .7, 9, 16, 16, 0.360000, 0.261296),
    (2, 7, .3, 13, 12, 12, 0.520000, 0.219763),
    (3, 1, .9, 3, 22, 22, 0.120000, 0.108953),
    (4, 3, .6, 16, 9, 9, 0.640000, 0.443843),
]

@pytest.mark.parametrize('seed, shift, threshold, tp, fp, fn, f1, panoptic', STORED)
def test_scores_are_those_that_stardist_gave(seed, shift, threshold, tp, fp, fn, f1, panoptic):
    truth = discs(seed)
    row = instance_scores(truth, np.roll(truth, shift, axis=0), [threshold]).iloc[0]
    assert [row.tp, row.fp, row.fn] == [tp, fp, fn] and np.allclose([row.f1, row.panoptic_quality], [f1, panoptic], atol=1e-6)

@pytest.mark.parametrize('shift, tp', [(0, 5), (5, 5), (10, 0)])
def test_five_discs_moved(shift, tp):
    "radius 15, 45 px apart: the overlap of two discs 5 px apart is .65, of two 10 px apart .41"
    y, x = np.mgrid[:60, :240]
    truth = np.zeros(y.shape, int)
    for i in range(5): truth[(y - 30)**2 + (x - 30 - 45*i)**2 <= 225] = i + 1
    row = instance_scores(truth, np.roll(truth, shift, axis=0), [.5]).iloc[0]
    assert [row.tp, row.fp, row.fn] == [tp, 5 - tp, 5 - tp] and row.f1 == tp/5

def test_images_are_counted_together():
    truths, predictions = zip(*[o for o in pairs() if o[0].shape == (160, 160)][:6])
    together, each = instance_scores(truths, predictions), [instance_scores(*o) for o in zip(truths, predictions)]
    for name in ('tp', 'fp', 'fn'): assert (together[name] == sum(o[name] for o in each)).all()
    assert np.allclose(together.panoptic_quality, sum(o.mean_matched_iou.fillna(0)*o.tp for o in each) / (together.n_true + together.n_predicted) * 2)

def test_more_is_asked_of_objects_at_higher_thresholds():
    for truth, predicted in pairs(): assert (instance_scores(truth, predicted).tp.diff().dropna() <= 0).all()

@pytest.mark.parametrize('truth, predicted, message', [(np.zeros((4, 4), int), np.zeros((4, 5), int), 'same image'), (np.zeros((4, 4)), np.zeros((4, 4)), 'integers'), (-np.eye(4, dtype=int), np.eye(4, dtype=int), 'background')])
def test_what_cannot_be_compared_is_refused(truth, predicted, message):
    with pytest.raises(InputError, match=message): overlaps(truth, predicted)

def test_numbers_of_different_images_are_refused():
    with pytest.raises(InputError, match='3 values against 2'): count_errors([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match='1 true masks, but 2'): class_iou([np.zeros((2, 2))], [np.zeros((2, 2))]*2)

def test_the_mean_explains_nothing():
    truth = np.random.default_rng(0).uniform(0, .1, 50)
    assert np.isclose(agreement(truth, np.full(50, truth.mean()))['r2'], 0) and np.isnan(agreement(truth, np.full(50, .05))['r'])
