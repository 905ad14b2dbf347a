"Tests that keep their promises, and measures that cannot be compared"
from itertools import product

import numpy as np, pandas as pd, pytest

from apoptosis_nb.core import InputError
from apoptosis_nb.statistics import TESTS, compare_doses, compare_pair, dose_table, permutation_p, spheroid_means, superplot

def spheroids(n_samples=6, effect=0., seed=0):
    random = np.random.default_rng(seed)
    table = pd.DataFrame([dict(sample=s, dose_gy=d, spheroid_id=f's{s}_{d}_{i}') for s, d, i in product(range(n_samples), (0, 4), (1, 2, 3))])
    return table.assign(n_intact=random.normal(100, 10, len(table)) + effect*(table.dose_gy == 4), n_apoptotic=random.poisson(4, len(table)),
                        apoptotic_ratio=random.uniform(0, .05, len(table)), event_distance_um=random.uniform(100, 900, len(table)))

def test_the_permutations_are_those_within_samples():
    "3 samples of 2 + 2: 216 ways, all of them tried here"
    values, treated, sample = np.random.default_rng(3).normal(size=12) + np.repeat([0, 20, -9], 4), np.tile([False, False, True, True], 3), np.repeat([5, 2, 9], 4)
    ways = [np.isin(np.arange(4), o) for o in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))]
    difference = lambda chosen: np.mean([values[4*i:4*i + 4][o].mean() - values[4*i:4*i + 4][~o].mean() for i, o in enumerate(chosen)])
    observed = abs(difference([treated[:4]]*3))
    exact = np.mean([abs(difference(o)) >= observed - 1e-9 for o in product(ways, repeat=3)])
    assert np.isclose(permutation_p(values, treated, sample), exact) and abs(permutation_p(values, treated, sample, n_permutations=200) - exact) < .06 # fewer than there are: drawn
    shuffled = np.random.default_rng(0).permutation(12)
    assert np.isclose(permutation_p(values[shuffled], treated[shuffled], sample[shuffled]), exact)

def test_a_difference_without_anything_left_over():
    "one sample has both, and each other sample one: the difference is known, how sure it is is not"
    table = pd.DataFrame(dict(sample=['a', 'a', 'b', 'c'], condition=['t', 'c', 't', 'c'], m=[5., 1, 6, 2]))
    found = compare_pair(table, 'm', 't', 'c')
    assert abs(found['difference'] - 4) < 1e-9 and found['p'] == 1 and all(np.isnan(found[o]) for o in ('low', 'high', 'hedges_g', 'cliffs_delta'))

def test_the_interval_covers_the_truth_nearly_always():
    covered = [r['low'] <= 5 <= r['high'] for r in (compare_doses(spheroids(effect=5, seed=i), 'n_intact', test=test) for i in range(20) for test in ('permutation', 'welch'))]
    assert np.mean(covered) > .85

@pytest.mark.parametrize('test', TESTS)
def test_a_large_effect_is_seen(test):
    row = compare_doses(spheroids(effect=40), 'n_intact', test=test)
    assert row['p'] < .01 and row['g_low'] > 1 and row['cliffs_delta'] > .9 and abs(row['difference'] - 40) < 10

def test_what_samples_differ_by_is_taken_off():
    table = spheroids(effect=10)
    shifted = table.assign(n_intact=table.n_intact + 500*table['sample'])
    one, other = (compare_doses(o, 'n_intact') for o in (table, shifted))
    for name in ('difference', 'low', 'high', 'hedges_g', 'p'): assert np.isclose(one[name], other[name])

def test_unequal_numbers_do_not_make_a_sample_a_dose():
    table = spheroids(8).assign(n_intact=lambda o: 100. + 50*(o['sample'] < 4))
    table = table[~((table['sample'] < 4) & (table.dose_gy == 4) & ~table.spheroid_id.str.endswith('1'))] # fewer treated ones where counts are high
    assert abs(compare_doses(table, 'n_intact')['difference']) < 1e-9 and compare_doses(table, 'n_intact', test='welch')['difference'] < -10

def test_same_seed_same_table():
    pd.testing.assert_frame_equal(dose_table(spheroids()), dose_table(spheroids()), check_exact=True)

def test_what_is_missing_stays_missing():
    table = spheroids()
    table.loc[table.dose_gy == 0, 'event_distance_um'] = np.nan
    row = dose_table(table).set_index('measure').loc['event_distance_um']
    assert row.n_0 == 0 and row.n_4 == 18 and np.isnan(row.difference) and np.isnan(row.p)

def test_a_measure_that_does_not_vary_is_no_error():
    row = compare_doses(spheroids().assign(n_apoptotic=0), 'n_apoptotic')
    assert row['difference'] == 0 and np.isnan(row['low']) and np.isnan(row['hedges_g']) and row['p'] == 1

def test_doses_in_different_samples_cannot_be_permuted():
    table = spheroids()
    table['sample'] = 10*table['sample'] + table.dose_gy
    with pytest.raises(InputError, match='no sample has spheroids of both conditions'): compare_doses(table, 'n_intact')
    assert 0 < compare_doses(table, 'n_intact', test='welch')['p'] <= 1

def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match='lacks n_intact'): spheroid_means(spheroids().drop(columns='n_intact'))
    with pytest.raises(InputError, match='one spheroid with two values of dose_gy'): spheroid_means(spheroids().assign(spheroid_id='a'))
    with pytest.raises(InputError, match='choose one of'): compare_doses(spheroids(), 'n_intact', test='t')

def test_superplot_draws_each_slice_and_each_spheroid():
    slices = pd.concat([spheroids()]*3, ignore_index=True)
    fig = superplot(slices, 'n_apoptotic')
    points = sum(len(o.get_xdata()) for o in fig.axes[0].lines if o.get_linestyle() == 'None')
    assert points == 36*3 + 36

def test_no_difference_is_no_small_p():
    "spheroids that are alike within each sample: their difference is 0 but for rounding, and every permutation is as extreme"
    table = pd.DataFrame([dict(sample=day, condition=c, n=float(n)) for day, c, n in [('1', 'ctrl', 0), ('1', 'drug', 0), *[('2', 'ctrl', 1)]*3, ('2', 'drug', 1)]])
    row = compare_pair(table, 'n', 'drug', 'ctrl')
    assert row['difference'] == 0 and row['p'] == 1
    assert permutation_p([.1]*6, [False]*3 + [True]*3, [0]*6) == 1
    values, treated = np.random.default_rng(0).normal(size=24), np.arange(24) % 2 == 0 # drawn at random
    assert permutation_p(np.full(24, .1), treated, np.zeros(24)) == 1 and permutation_p(values + 5*treated, treated, np.zeros(24)) == 1e-4
