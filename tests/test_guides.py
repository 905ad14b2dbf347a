"The guides run from top to bottom, as they are"
import pandas as pd, pytest

@pytest.mark.slow
def test_analyse_your_images(root, tmp_path):
    papermill = pytest.importorskip('papermill')
    papermill.execute_notebook(root / 'nbs/guides/10_analyse_your_images.ipynb', tmp_path / 'run.ipynb', cwd=tmp_path, kernel_name='python3', progress_bar=False)
    images = pd.read_csv(tmp_path / 'found/images.csv')
    assert images.z.tolist() == [1, 2, 3] and images.error.isna().all() and (images.n_intact > 0).all() and (images.pixel_size_um == .65).all()
    assert (tmp_path / 'found.zip').is_file() and (tmp_path / 'found/overlays/spheroid_z1.png').is_file()
