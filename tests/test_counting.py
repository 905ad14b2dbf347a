"What masks of the segmentation network can look like, and what must be refused"
import numpy as np, pandas as pd, pytest
from scipy import ndimage as ndi
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from apoptosis_nb import counting
from apoptosis_nb.core import InputError
from apoptosis_nb.counting import count_around, count_mask, count_slices, group_fragments, outline_nuclei, outlined
from apoptosis_nb.simulation import simulate_spheroid
from apoptosis_nb.spheroids import SpheroidId, merge_slices

@pytest.fixture(scope='module')
def spheroid(): return simulate_spheroid(SpheroidId(6, 4, 1), seed=5, size_px=600, count_scale=.25)

def test_perfect_masks_count_almost_right(spheroid):
    errors = []
    for z, mask in enumerate(spheroid.classes, 1):
        counted, truth = count_mask(mask, .65), spheroid.nuclei[spheroid.nuclei.z == z]
        errors.append(abs(len(counted.nuclei) / len(truth) - 1))
        assert len(counted.events) == (spheroid.events.z == z).sum()
    assert np.median(errors) <= .04

def test_tables_and_labels_tell_the_same(spheroid):
    counted = count_mask(spheroid.classes[1], .65, core_px=(0, 0))
    for table, labels, name in (counted.nuclei, counted.nucleus_labels, 'nucleus'), (counted.events, counted.event_labels, 'event'):
        assert table[name].tolist() == list(range(1, labels.max() + 1))
        areas = np.bincount(labels.ravel(), minlength=len(table) + 1)[1:]
        assert np.allclose(areas * .65**2, table.area_um2)
        assert np.allclose(np.hypot(table.y_px, table.x_px) * .65, table.distance_um)
    assert not (counted.nucleus_labels.astype(bool) & counted.event_labels.astype(bool)).any()

@pytest.mark.parametrize('scale', [1, 2])
def test_the_pixel_size_does_not_matter_to_the_count(spheroid, scale):
    mask = spheroid.classes[0]
    finer = mask.repeat(scale, 0).repeat(scale, 1)
    one, other = count_mask(mask, .65).counts, count_mask(finer, .65/scale).counts
    assert abs(one['n_intact'] - other['n_intact']) <= .03*one['n_intact'] and one['n_apoptotic'] == other['n_apoptotic']

def test_counts_survive_a_turn_of_the_mask(spheroid):
    mask = spheroid.classes[0]
    one, other = count_mask(mask, .65).counts, count_mask(np.rot90(mask), .65).counts
    assert abs(one['n_intact'] - other['n_intact']) <= 1 and one['n_apoptotic'] == other['n_apoptotic']

@pytest.mark.parametrize('mask', [np.zeros((5, 7), int), np.ones((64, 63), np.uint8), np.full((1, 1), 2), np.full((40, 40), 2, np.int64), np.eye(9, dtype=bool)])
def test_odd_masks_are_counted(mask):
    counted = count_mask(mask, .65)
    assert counted.nucleus_labels.shape == counted.event_labels.shape == mask.shape
    assert counted.counts['n_intact'] + counted.counts['n_apoptotic'] <= 1

@pytest.mark.parametrize('mask, message', [(np.zeros((2, 5, 5), int), 'plane'), (np.zeros((0, 5), int), 'pixels'), (np.zeros((5, 5)), 'argmax'), (np.full((5, 5), 3), 'classes'), (np.full((5, 5), -1), 'classes')])
def test_what_is_no_mask_is_refused(mask, message):
    with pytest.raises(InputError, match=message): count_mask(mask, .65)

@pytest.mark.parametrize('change', [lambda o: ndi.binary_erosion(o), lambda o: ndi.binary_dilation(o)])
def test_outlines_come_nearer_to_the_truth(spheroid, change):
    "masks that are a pixel too narrow or too wide, whatever the image's offset and gain"
    classes, image = spheroid.classes[1], spheroid.pixels[1]
    true = classes == 1
    counted = count_mask(np.where(change(true) & (classes != 2), 1, 2*(classes == 2)).astype(np.uint8), .65, core_px=(0, 0))
    again = outlined(counted, image, .65, core_px=(0, 0))
    iou = lambda o: ((o.nucleus_labels > 0) & true).sum()/((o.nucleus_labels > 0) | true).sum()
    assert iou(again) > iou(counted) + .03
    assert again.events is counted.events and len(again.nuclei) == len(counted.nuclei) and not (again.nucleus_labels.astype(bool) & (again.event_labels > 0)).any()
    assert np.allclose(np.bincount(again.nucleus_labels.ravel())[1:]*.65**2, again.nuclei.area_um2)
    other = outlined(counted, image*.01 - 50., .65).nucleus_labels
    assert (other != again.nucleus_labels).mean() < 1e-4

def test_outlines_do_not_depend_on_the_blocks(spheroid, monkeypatch):
    classes, image = spheroid.classes[0], spheroid.pixels[0]
    counted = count_mask(classes, .65)
    whole = outline_nuclei(counted.nucleus_labels, image, .65, classes == 2)
    monkeypatch.setattr(counting, 'BLOCK_PX', 100)
    assert np.array_equal(outline_nuclei(counted.nucleus_labels, image, .65, classes == 2), whole)

@pytest.mark.parametrize('image', [np.zeros((60, 60)), np.full((60, 60), 200, np.uint8), np.random.default_rng(0).normal(size=(60, 60))], ids=['dark', 'one grey', 'noise'])
def test_an_outline_loses_no_nucleus(image):
    labels = np.zeros((60, 60), np.int32)
    labels[5:30, 5:30], labels[30:33, 40:43], labels[50, 50] = 1, 2, 3
    again = outline_nuclei(labels, image, .65)
    assert np.array_equal(np.unique(again), [0, 1, 2, 3]) and (again[8:27, 8:27] == 1).all()
    assert np.array_equal(outline_nuclei(np.ones((60, 60), np.int32), image, .65), np.ones((60, 60)))

def test_an_outline_needs_its_image():
    with pytest.raises(InputError, match='an image of'): outline_nuclei(np.ones((4, 5), int), np.zeros((5, 4)), .65)

def test_probabilities_must_fit_the_mask():
    with pytest.raises(InputError, match='probabilities'): count_mask(np.zeros((5, 5), int), .65, probability=np.zeros((5, 6)))

@pytest.mark.parametrize('method', ['complete', 'single', 'average'])
def test_grouping_in_parts_is_grouping_at_once(method):
    "complete and average groups never reach beyond chains of near fragments"
    for seed in range(10):
        places = np.random.default_rng(seed).uniform(0, 250, (60, 2))
        at_once = fcluster(linkage(places, method), 20, 'distance')
        in_parts = group_fragments(places, method=method)
        same = lambda o: o[:, None] == o
        assert (same(at_once) == same(in_parts)).all()

def test_simulated_events_are_told_apart(spheroid):
    "their fragments lie within 20 um, and they are 38 um apart"
    z = spheroid.events.z.mode()[0]
    counted = count_mask(spheroid.classes[z-1], .65)
    truth = spheroid.events[spheroid.events.z == z]
    distance = np.hypot(*(counted.events[['y_px', 'x_px']].to_numpy()[:, None] - truth[['y_px', 'x_px']].to_numpy()).T)
    assert (distance.min(0) < 2).all() and (distance.min(1) < 2).all()

@pytest.mark.parametrize('what', ['nucleus', 'body', 'nothing'])
def test_every_known_event_has_pixels(what):
    y, x = np.mgrid[:80, :80]
    shape = np.hypot((y - 40)/10, (x - 40)/16) < 1
    mask = dict(nucleus=shape*1, body=shape*2, nothing=shape*0)[what].astype(np.uint8)
    events = pd.DataFrame(dict(y_px=[40., 40], x_px=[31., 49], score=[.9, .8]))
    counted = count_around(mask, events, .65)
    assert set(np.unique(counted.event_labels)) == {0, 1, 2} and (counted.events.area_um2 > 0).all()
    assert counted.event_labels[40, 49] == 2 and not counted.nucleus_labels[counted.event_labels > 0].any()

def test_no_slices_no_objects():
    nuclei, events, summary = count_slices(np.zeros((3, 20, 20), int), .65)
    assert not len(nuclei) and not len(events) and summary.apoptotic_ratio.isna().all() and summary.z.tolist() == [1, 2, 3, 'merged']

@pytest.mark.parametrize('place', [(0, 0), (0, 44), (39, 0), (39, 44), (39.4, 20), (20, 44.4), (34, 20), (36, 41)])
def test_events_that_no_mask_shows_at_the_border(place):
    counted = count_around(np.zeros((40, 45), np.uint8), pd.DataFrame([dict(y_px=place[0], x_px=place[1], score=.9)]), .65)
    assert counted.event_labels.max() == 1 and counted.event_labels[tuple(np.clip(np.rint(place).astype(int), 0, (39, 44)))] == 1

@pytest.mark.parametrize('n, limit', [(60, 9.), (200, 12.), (200, 40.), (1, 5.)])
def test_objects_of_two_planes_are_paired_as_by_one_assignment(n, limit):
    "as many pairs as possible, then the least total distance; pairs far from each other do not matter to each other"
    random = np.random.default_rng(n)
    a, b = (random.uniform(0, 200, (n, 2)) for _ in range(2))
    found = pd.DataFrame(np.vstack([a, b]), columns=['y_px', 'x_px']).assign(z=np.repeat([1, 2], n))
    distance = cdist(a, b)
    pairs = linear_sum_assignment(np.where(distance <= limit, distance, 1e6))
    again = set(pairs[1][distance[pairs] <= limit])
    merged = merge_slices(found, limit)
    left = {tuple(o) for o in merged[merged.z == 2][['y_px', 'x_px']].to_numpy()}
    assert left == {tuple(o) for i, o in enumerate(b) if i not in again} and (merged.z == 1).sum() == n
