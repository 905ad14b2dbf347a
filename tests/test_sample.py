"The sample in the repository: it loads, and the simulation still makes it"
import numpy as np, pandas as pd, pytest, tifffile

from apoptosis_nb.dataset import simulate_dataset
from apoptosis_nb.spheroids import annotations, load_index, read_labels, read_slice

@pytest.fixture(scope='module')
def sample(root): return root / 'data/sample'

@pytest.fixture(scope='module')
def again(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sample')
    simulate_dataset(folder, samples=[1], spheroids_per_dose=1, seed=4, size_px=384, count_scale=.3, workers=1)
    return folder

def test_it_is_small(sample): assert sum(o.stat().st_size for o in sample.iterdir()) < 1.5e6

def test_it_loads(sample):
    index = load_index(sample)
    assert index.z.tolist() == [1, 2, 3] and set(index.dose_gy) == {4} and set(index.pixel_size_um) == {.65}
    for row in index.itertuples():
        image, classes, nuclei = read_slice(row), read_labels(row, 'classes'), read_labels(row, 'instances')
        assert image.shape == classes.shape == nuclei.shape == (384, 384) and image.dtype == np.uint16 and image.min() < image.max()
        for who in ('acas', 'truth'):
            counts = annotations(row, who).label.value_counts()
            assert counts.get(1, 0) == getattr(row, f'n_intact_{who}') and counts.get(2, 0) == getattr(row, f'n_apoptotic_{who}')
    assert (index.n_apoptotic_truth > 0).all() and (index.n_intact_truth > 0).all()

def test_it_is_what_the_simulation_makes(sample, again):
    "if not, the simulation was changed: make the sample again as data/README.md says"
    for path in sample.glob('*.tif'): assert (tifffile.imread(path) == tifffile.imread(again / path.name)).all(), path.name
    for path in sample.glob('s01*.csv'): pd.testing.assert_frame_equal(pd.read_csv(path), pd.read_csv(again / path.name))
    index = pd.read_csv(again / 'index.csv').query('dose_gy == 4').reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_csv(sample / 'index.csv'), index)
