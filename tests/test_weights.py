"The networks that come with the package"
import os

import numpy as np, pytest

from apoptosis_nb.classifier import load_classifier
from apoptosis_nb.core import packaged_networks, read_table
from apoptosis_nb.scanning import detect
from apoptosis_nb.spheroids import load_index, read_slice
from apoptosis_nb.unet import load_segmenter

needs_data = pytest.mark.skipif('APOPTOSIS_NB_DATA' not in os.environ, reason='APOPTOSIS_NB_DATA is unset: the MitoCheck crops are not here')

def test_they_say_what_they_need():
    assert {'window_64', 'window_64_simulated', 'unet', 'unet_simulated'} == set(packaged_networks())
    for name in ('window_64', 'window_64_simulated'):
        classifier = load_classifier(name)
        assert classifier.window_px == 64 and classifier.pixel_size_um == .65 and 0 < classifier.threshold < 1
        p = classifier.predict(np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8))
        assert p.shape == (3,) and p.dtype == np.float32 and ((0 <= p) & (p <= 1)).all()

def test_the_reference_was_measured_with_these_networks(root):
    "what the tables say of the UNets' making and of when an event counts is what their files say"
    tables = root/'docs/reference/standard/tables'
    real = read_table(tables/'real_images.csv').set_index(['data', 'method'])
    for name, method in (('unet', 'UNet, real nuclei too'), ('unet_simulated', 'UNet, simulated nuclei only')):
        for k, v in load_segmenter(name).about['counting'].items(): assert np.isclose(real.loc[('fields of MitoCheck cells', method), k], v, rtol=1e-5), (name, k)
    assert {load_segmenter('unet').about['loss']} == set(real.loss)

def test_events_of_the_sample(root):
    "most true events are found, and not many more"
    index = load_index(root/'data'/'sample')
    found = sum(len(detect(read_slice(row), load_classifier('window_64'))) for _, row in index.iterrows())
    assert .5*index.n_apoptotic_truth.sum() <= found <= 2*index.n_apoptotic_truth.sum()

@needs_data
def test_real_cells_of_plates_that_it_has_not_seen():
    from apoptosis_nb.evaluation import binary_scores
    from apoptosis_nb.mitocheck import load_mitocheck, plate_split
    crops, table = load_mitocheck()
    classifier = load_classifier('window_64')
    test = (plate_split(table, seed=classifier.about['seed']).split == 'test').to_numpy()
    scores = binary_scores(table.class_name[test] == 'Apoptosis', classifier.predict(crops[test]), classifier.threshold)
    assert scores['f1'] > .8, scores

def test_counts_of_the_sample(root):
    "nuclei within a fifth, and most events, not many more"
    from apoptosis_nb.counting import count_image
    from apoptosis_nb.unet import load_segmenter
    index, segmenter = load_index(root/'data'/'sample'), load_segmenter('unet')
    counts = [count_image(read_slice(row), segmenter, row.pixel_size_um)[0].counts for _, row in index.iterrows()]
    assert abs(sum(o['n_intact'] for o in counts)/index.n_intact_truth.sum() - 1) < .2
    assert .5*index.n_apoptotic_truth.sum() <= sum(o['n_apoptotic'] for o in counts) <= 2*index.n_apoptotic_truth.sum()
