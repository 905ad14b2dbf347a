"What goes wrong on the way through the study, on the sample: each an InputError that names the file or the remedy"
import shutil

import numpy as np, pandas as pd, pytest

from apoptosis_nb.core import InputError, write_table
from apoptosis_nb.dataset import simulate_dataset
from apoptosis_nb.images import write_stack
from apoptosis_nb.scanning import detect
from apoptosis_nb.spheroids import annotations, load_index, read_slice
from apoptosis_nb.windows import window_table

STEM = 's01_4Gy_sph1'

@pytest.fixture
def sample(root, tmp_path): return shutil.copytree(root / 'data/sample', tmp_path / 'sample')

class Bright:
    "A stand-in for a trained network of 64 px windows: yes where something is bright"
    window_px, normalisation, threshold, pixel_size_um, second_look = 64, 'image', .5, .65, False
    def probabilities(self, windows, views=1): return np.asarray(windows).max((1, 2)).astype(np.float32)

def change(path, **columns): write_table(pd.read_csv(path).assign(**columns), path)

def test_index_names_a_missing_file(sample):
    change(sample / 'index.csv', image='s02_4Gy_sph1.ome.tif')
    with pytest.raises(InputError, match=r's02_4Gy_sph1\.ome\.tif') as e: load_index(sample)
    assert str(sample / 'index.csv') in str(e.value) and 'copy it there or remove its rows' in str(e.value)

@pytest.mark.parametrize('who', ['acas', 'truth'])
def test_annotation_outside_the_image(sample, who):
    change(sample / f'{STEM}_{who}_events.csv', x_px=384)
    index = load_index(sample)
    with pytest.raises(InputError, match=f'{STEM}_{who}_events.csv.*outside the image of 384 x 384 px'): annotations(index.iloc[0], who)
    with pytest.raises(InputError, match=f'{STEM}_{who}_events.csv'): window_table(index, 64, who=who)

def test_images_smaller_than_the_window(sample):
    write_stack(sample / f'{STEM}.ome.tif', np.zeros((3, 60, 384), 'uint16'), .65)
    change(sample / 'index.csv', height_px=60)
    for name in ('nuclei', 'events'): change(sample / f'{STEM}_acas_{name}.csv', y_px=30)
    index = load_index(sample)
    with pytest.raises(InputError, match='60 x 384 px, smaller than the window of 64 x 64 px'): window_table(index, 64)
    with pytest.raises(InputError, match='60 x 384 px, smaller than the window of 64 x 64 px'): detect(read_slice(index.iloc[0]), Bright())

def test_black_images_hold_no_event(sample):
    index = load_index(sample)
    assert len(detect(read_slice(index.iloc[0]), Bright()))
    for value in (0, 500): assert len(detect(np.full((384, 384), value, 'uint16'), Bright())) == 0

def test_another_seed_leaves_a_dataset_as_it_is(tmp_path):
    how = dict(samples=[1], spheroids_per_dose=1, size_px=256, count_scale=.1, workers=1)
    simulate_dataset(tmp_path / 'cells', seed=0, **how)
    before = {o.name: (o.read_bytes(), o.stat().st_mtime_ns) for o in (tmp_path / 'cells').iterdir()}
    for changed in (dict(seed=1), dict(size_px=320), dict(count_scale=.2), dict(samples=[1, 2])):
        with pytest.raises(InputError, match='cells: holds spheroids that were simulated with another .*choose another folder'): simulate_dataset(tmp_path / 'cells', **dict(how, seed=0) | changed)
    assert before == {o.name: (o.read_bytes(), o.stat().st_mtime_ns) for o in (tmp_path / 'cells').iterdir()}
