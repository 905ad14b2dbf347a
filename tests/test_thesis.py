"The thesis's values as data, against the totals that it states itself"
from pathlib import Path

import pandas as pd

folder = Path(__file__).parents[1] / 'data/thesis'
read = lambda name: pd.read_csv(folder / f'{name}.csv')

def test_all_tables_are_there():
    assert {o.stem for o in folder.glob('*.csv')} == {*(f'table_{i}' for i in range(1, 10)), 'counts', 'acas_accuracy', 'unet_training'}
    described = (folder.parent / 'README.md').read_text(encoding='utf-8')
    for path in folder.glob('*.csv'): assert f'`{path.name}`' in described and len(pd.read_csv(path)), path.name

def test_counts():
    counts = read('counts').pivot(index='dose_gy', columns='quantity')
    n_slices, total, mean = counts['n_slices']['n_intact'], counts['total'], counts['mean_per_slice']
    assert n_slices.to_dict() == {'all': 744, '0': 378, '4': 366} and total.loc['all', 'n_intact'] == 277894 and total.loc['all', 'n_apoptotic'] == 2815
    for quantity in ('n_intact', 'n_apoptotic'):
        assert total.loc['all', quantity] == total.loc[['0', '4'], quantity].sum()
        assert (mean[quantity] - total[quantity] / n_slices).abs().max() < .0051

def test_detections_add_up():
    for name in ('table_3', 'table_4'):
        df = read(name)
        assert (df['n_detected'] == df['n_tp'] + df['n_fp']).all() and df['n_detected'].sum() == 52
    three = read('table_3')
    assert (three['n_annotated'] == three['n_tp'] + three['n_fn']).all()
    for name, strides in (('table_5', {32, 16}), ('table_7', {64, 32})):
        df = read(name)
        assert set(df['stride_px']) == strides and len(df) == 8

def test_ratios_and_scores():
    nine, two = read('table_9'), read('table_2')
    ratio = nine['n_apoptotic_predicted'] / (nine['n_apoptotic_predicted'] + nine['n_intact_predicted'])
    assert (ratio - nine['apoptotic_ratio_predicted']).abs().max() < 5.1e-5
    assert two.loc[two['f1'].idxmax(), 'beta'] == 4 and two['beta'].tolist() == [1, 2, 4, 10, 16, 19, 33]
    for name, px in (('table_1', 64), ('table_6', 128)):
        df = read(name)
        assert set(df['window_px']) == {px} and df[['accuracy', 'precision', 'recall']].stack().between(.98, 1).all()
    assert read('acas_accuracy')[['sensitivity', 'specificity']].stack().between(0, 1).all()

def test_annotated_events_were_found():
    eight = read('table_8').set_index(['who', 'row'])
    for row in range(1, 5): assert (eight.loc[('annotated', row)] - eight.loc[('predicted', row)]).abs().max() < 16
