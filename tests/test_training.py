"Training ends the same however often it was stopped"
import os, signal, subprocess, sys

import numpy as np, pandas as pd, pytest

from apoptosis_nb.classifier import build_classifier, load_classifier, train_classifier
from apoptosis_nb.networks import highest_score, learned_history, lowest_loss
from apoptosis_nb.core import InputError
from apoptosis_nb.windows import DynamicUnderSampling

def windows_and_labels():
    labels = (np.arange(160) % 4 == 0).astype(int)
    return (np.random.default_rng(0).random((160, 16, 16)) * np.where(labels, 1, .6)[:, None, None]).astype(np.float16), labels

def train(folder, seed=0, every=2, on_epoch=None, model=dict(filters=2, n_blocks=2, dense=8)):
    windows, labels = windows_and_labels()
    batches = DynamicUnderSampling(windows[:120], labels[:120], batch_size=8, seed=seed, augment=True)
    return train_classifier(
        batches, (windows[120:], labels[120:]), folder, model, epochs=5, seed=seed, checkpoint_every=every, quiet=True,
        on_epoch=on_epoch, pixel_size_um=.65, normalisation='none')

def die(row):
    if row['epoch'] == 3: os.kill(os.getpid(), signal.SIGKILL)

def probabilities(folder): return load_classifier(folder/'best.keras').probabilities(windows_and_labels()[0])

@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('uninterrupted')
    return folder, learned_history(train(folder))

def test_killed_and_started_again_it_ends_the_same(uninterrupted, tmp_path):
    "Another process, killed in the third epoch, after the state of the second was kept"
    killed = subprocess.run([sys.executable, __file__, str(tmp_path)], env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3'), capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path/'state.npz').exists() and not (tmp_path/'best.keras').exists()
    rows = []
    history = learned_history(train(tmp_path, on_epoch=rows.append))
    folder, expected = uninterrupted
    assert [o['epoch'] for o in rows] == [3, 4, 5]
    pd.testing.assert_frame_equal(history, expected, check_exact=True)
    assert np.array_equal(probabilities(tmp_path), probabilities(folder))
    assert not [o for o in tmp_path.iterdir() if o.name.startswith('.')]

def test_the_history_has_every_column(uninterrupted):
    assert list(uninterrupted[1]) == ['epoch', 'learning_rate', 'loss', 'accuracy', 'precision', 'recall', 'val_loss', 'val_accuracy', 'val_precision', 'val_recall']

def test_same_seed_same_history_other_seed_another(uninterrupted, tmp_path):
    pd.testing.assert_frame_equal(learned_history(train(tmp_path/'same', every=5)), uninterrupted[1], check_exact=True)
    assert not np.allclose(train(tmp_path/'other', seed=1).loss, uninterrupted[1].loss)

def test_another_training_in_the_folder_is_refused(uninterrupted):
    with pytest.raises(InputError, match='delete the folder or choose another') as error: train(uninterrupted[0], seed=1)
    assert str(uninterrupted[0]) in str(error.value)
    with pytest.raises(InputError, match='weights'): train(uninterrupted[0], model=build_classifier(16, filters=2, n_blocks=2, dense=8))

def test_a_finished_training_is_not_repeated(uninterrupted):
    folder, expected = uninterrupted
    before = (folder/'state.npz').stat().st_mtime_ns
    pd.testing.assert_frame_equal(learned_history(train(folder, on_epoch=pytest.fail)), expected, check_exact=True)
    assert (folder/'state.npz').stat().st_mtime_ns == before

if __name__ == '__main__': train(sys.argv[1], on_epoch=die)

def test_a_number_that_is_none_is_not_the_best():
    for better, name, values in ((lowest_loss, 'val_loss', (np.nan, .5, .4)), (highest_score, 'score', (np.nan, .4, .5))):
        rows = [{name: o} for o in values]
        assert [better(o, rows[:i]) for i, o in enumerate(rows)] == [False, True, True]
