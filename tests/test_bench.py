"The bench runs in pieces, writes what it says, and its goals follow from its table"
import subprocess, sys

import numpy as np, pandas as pd, pytest

sys.path.insert(0, __file__.rsplit('/', 1)[0])
import bench

@pytest.mark.slow
def test_a_piece_of_the_bench(root, tmp_path):
    words = ['--out', tmp_path, '--parts', 'windows,sizes', '--size-px', '192', '--sizes', '128', '--times', '1', '--cores', '1']
    done = subprocess.run([sys.executable, root/'tests/bench.py', *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {o.name for o in tmp_path.iterdir()} == {'bench.csv', 'goals.csv', 'bench.png', 'machine.json'}
    table = pd.read_csv(tmp_path/'bench.csv')
    assert set(table.part) == {'windows', 'sizes'} and (table.peak_gib > .1).all()
    assert table.set_index('what').rate['dense 64/16: events that differ from those of exact 64/16'] == 0

def test_multiply_adds_by_hand():
    import keras
    from keras import layers
    image = keras.Input((None, None, 1))
    model = keras.Model(image, layers.Conv2DTranspose(2, 2, 2)(layers.MaxPooling2D()(layers.Conv2D(3, 3, padding='same')(image))))
    assert bench.multiply_adds(model, 8) == 8*8*9*3 + 4*4*4*3*2

def test_goals_are_those_of_the_table():
    rows = [('windows', 'exact 64/32', 2.), ('windows', 'plain Keras predict', 6.), ('windows', 'one predict a window', 400.), ('sizes', 'UNet and counting', 1.), ('sizes', 'UNet and counting', 17.)]
    table = pd.DataFrame(rows, columns=['part', 'what', 'seconds']).assign(size_px=[1800]*3 + [2048, 8192], peak_gib=[1.]*4 + [3.5])
    found = bench.goals(table, 'seconds', 1800, 2048).set_index('goal')
    measured = lambda words: found[found.index.str.contains(words)].iloc[0]
    assert measured('faster than plain Keras predict').measured == 3 and measured('faster than plain Keras predict').met
    assert measured('one predict').measured == 200 and not measured('one predict').met
    assert not measured('GiB').met and np.isclose(measured('seconds a pixel').measured, 17/16) and measured('seconds a pixel').met
    assert np.isnan(measured('StarDist').measured) and pd.isna(measured('StarDist').met)
