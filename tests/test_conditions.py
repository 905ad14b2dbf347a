"Groups from files and names, through the commands; and the montage of events"
import json, shutil
from functools import partial
from itertools import product

import numpy as np, pandas as pd, pytest
from PIL import Image
from typer.testing import CliRunner

from apoptosis_nb.cli import app
from apoptosis_nb.conditions import FILES, assign_groups, compare, compare_conditions, made_up_analysis, read_groups
from apoptosis_nb.core import write_table
from apoptosis_nb.images import write_stack

PATTERN = ['--pattern', '{sample}_{condition}_{spheroid}.tif', '--control', 'untreated']

def run(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done

def picture(seed, n):
    "Twelve nuclei of 6 um, n of them in three bright fragments"
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:200, :260]
    light = random.normal(100, 3, y.shape)
    for i, (cy, cx) in enumerate((a, b) for a in (35, 100, 165) for b in (35, 98, 161, 224)):
        for dy, dx in ((-8, 0), (6, 8), (6, -8)) if i < n else ((0, 0),): light[np.hypot(y - cy - dy, x - cx - dx) < (4 if i < n else 9)] += 3000 if i < n else 600
    return light.astype('uint16')

@pytest.fixture
def results(tmp_path):
    "What an analysis would have left"
    images, events = made_up_analysis()
    write_table(images, tmp_path / 'images.csv')
    write_table(events, tmp_path / 'events.csv')
    (tmp_path / 'run.json').write_text('{"files": ["overlays/a.png"]}')
    return tmp_path

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Twelve images of two days, three times as many events in the irradiated ones"
    folder = tmp_path_factory.mktemp('images')
    for day in (1, 2):
        for condition, n in (('untreated', 1), ('4Gy', 4)):
            for i in (1, 2, 3): write_stack(folder / f'day{day}_{condition}_{i}.tif', picture(i, n + i % 2), .65)
    return folder

def test_analyze_with_a_pattern(folder, tmp_path):
    words = ['analyze', folder, '--method', 'acas', '--out', tmp_path / 'out']
    done = run(*words, *PATTERN, '--no-pictures')
    assert done.exit_code == 0 and '4Gy against untreated' in done.output, done.output
    table = pd.read_csv(tmp_path / 'out/conditions.csv').set_index('measure')
    assert set(table.index) >= {'n_intact', 'n_apoptotic', 'apoptotic_ratio'} and (table.n == 6).all() and table.difference['n_apoptotic'] > 1 and table.p_holm['n_apoptotic'] < .05
    spheroids = pd.read_csv(tmp_path / 'out/spheroids.csv')
    assert len(spheroids) == 12 and spheroids.images[0] == 'day1_untreated_1.tif' and set(spheroids['sample']) == {'day1', 'day2'}
    record = json.loads((tmp_path / 'out/run.json').read_text())
    assert set(record['files']) == set(FILES) and record['conditions']['parameters']['control'] == 'untreated'
    again = run(*words, '--overwrite', '--no-pictures')
    assert again.exit_code == 0 and not [o for o in FILES if (tmp_path / 'out' / o).exists()], 'the earlier comparison goes with its analysis'

@pytest.mark.parametrize('words, message', [
    ([], 'give either'), (['--control', 'untreated'], 'give either'), (['--pattern', '{sample}_{condition}_{spheroid}'], 'say which one is the control'), ([*PATTERN, '--groups', 'groups.csv'], 'give either'),
    (['--pattern', '{sample}_{condition}', '--control', 'untreated'], 'fits none of the'), (['--groups', 'nowhere.csv', '--control', 'x'], 'nowhere.csv: there is no such table')])
def test_wrong_groups_are_found_before_the_work(folder, tmp_path, words, message):
    if words:
        done = run('analyze', folder, '--method', 'acas', '--out', tmp_path / 'out', *words)
        assert done.exit_code == 1 and message in done.output and not (tmp_path / 'out').exists()
    (tmp_path / 'run').mkdir()
    for o, table in zip(('images', 'events'), made_up_analysis()): write_table(table, tmp_path / f'run/{o}.csv')
    done = run('compare', tmp_path / 'run', *words)
    assert done.exit_code == 1 and message in done.output and 'Traceback' not in done.output

def test_a_condition_that_cannot_be_read(tmp_path):
    for condition, i in product(('0Gy', '4Gy'), (1, 2, 3)):
        if condition == '0Gy': write_stack(tmp_path / f'in/d1_0Gy_{i}.tif', picture(i, 2), .65)
        else: (tmp_path / f'in/d1_4Gy_{i}.tif').write_text('no image')
    done = run('analyze', tmp_path / 'in', '--method', 'acas', '--no-pictures', '--out', tmp_path / 'out', '--pattern', '{sample}_{condition}_{spheroid}.tif', '--control', '0Gy')
    assert done.exit_code == 1 and 'condition 4Gy: no image could be analysed' in done.output and 'Traceback' not in done.output
    assert (tmp_path / 'out/conditions.png').is_file() and len(pd.read_csv(tmp_path / 'out/spheroids.csv')) == 3

def test_a_comparison_among_the_images_is_no_image(folder, tmp_path):
    shutil.copytree(folder, tmp_path / 'same')
    words = ['analyze', tmp_path / 'same', '--method', 'acas', '--no-pictures', '--out', tmp_path / 'same', *PATTERN]
    assert run(*words).exit_code == 0 and (tmp_path / 'same/conditions.png').is_file()
    done = run(*words, '--overwrite')
    assert done.exit_code == 0 and len(pd.read_csv(tmp_path / 'same/images.csv')) == 12, done.output

def test_numbers_of_a_spreadsheet_stay_apart():
    table = read_groups(pd.DataFrame(dict(image=['a.tif', 'b.tif'], condition=['c', 't'], sample=[20240115., 20240116.])))
    assert table['sample'].tolist() == ['20240115', '20240116']

def test_the_least_p_of_ranks():
    "two against five: either end is as extreme"
    images, events = made_up_analysis()
    few = [o for condition, n in (('untreated', 2), ('drug', 5)) for o in [o for o in images.image.unique() if condition in o][:n]]
    made = compare_conditions(images[images.image.isin(few)], events, assign_groups(few, pattern='{sample}_{condition}_{spheroid}.tif', control='untreated'), test='mann-whitney')
    assert any(f'p cannot be less than {2/21:.2g}' in o for o in made.notes), made.notes

def test_compare_with_a_table(results):
    images = pd.read_csv(results / 'images.csv').image.unique()
    parts = pd.Series(images).str.extract(r'(?P<Replicate>\w+?)_(?P<Treatment>\w+)_(?P<Well>\d)')
    parts.assign(File=[o.removesuffix('.tif') for o in images]).iloc[1:].to_csv(results / 'groups.csv', sep=';', index=False)
    done = run('compare', results, '--groups', results / 'groups.csv', '--control', 'untreated')
    assert done.exit_code == 0 and 'day1_untreated_1.tif has no group' in done.output and '26 spheroids in 3 condition(s)' in done.output, done.output
    table = pd.read_csv(results / 'conditions.csv')
    assert table.n_control.unique().tolist() == [8] and json.loads((results / 'run.json').read_text())['files'] == ['overlays/a.png', *FILES]
    once = run('compare', results, *PATTERN)
    assert once.exit_code == 1 and 'conditions.csv' in once.output and 'overwrite' in once.output
    assert run('compare', results, *PATTERN, '--overwrite', '--test', 'welch').exit_code == 0 and set(pd.read_csv(results / 'conditions.csv').test) == {'welch'}

def test_the_table_may_come_from_anywhere(results):
    "a DataFrame, and a file whose text is not UTF-8"
    images = pd.DataFrame(dict(image=pd.read_csv(results / 'images.csv').image.unique()))
    found = compare(results, images.assign(condition=images.image.str.contains('irr').map({True: 4, False: 0})), control=0)
    assert found.table.condition.unique().tolist() == ['4'] and found.notes == ['no spheroid is given: each image is taken for one spheroid']
    (results / 'groups.csv').write_bytes('image,condition\na.tif,4 \xb5M\n'.encode('latin-1'))
    done = run('compare', results, '--groups', results / 'groups.csv', '--overwrite')
    assert done.exit_code == 1 and 'UTF-8' in done.output

def test_what_could_not_be_analysed_is_named(folder, tmp_path):
    for path in sorted(folder.glob('day1_*'))[:4]: (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'day1_4Gy_9.tif').write_text('no image')
    done = run('analyze', tmp_path, '--method', 'acas', '--out', tmp_path / 'out', *PATTERN, '--no-pictures')
    assert done.exit_code == 1 and 'spheroid 9 has no plane' in done.output and len(pd.read_csv(tmp_path / 'out/spheroids.csv')) == 4

def test_every_event_is_in_the_montage(folder, tmp_path, monkeypatch):
    "on pages of 2 x 4 events, the surest first; what an earlier run wrote goes with it"
    import apoptosis_nb.analysis as analysis
    monkeypatch.setattr(analysis, 'event_pages', partial(analysis.event_pages, columns=4, rows=2))
    write_stack(tmp_path / 'crowd.tif', np.stack([picture(i, 5) for i in range(3)]), .65)
    found = analysis.analyze([tmp_path / 'crowd.tif'], tmp_path / 'out', 'acas', quiet=True)
    assert 8 < found.images.n_apoptotic.sum() <= 16
    written = lambda: sorted(o.name for o in (tmp_path / 'out/events').iterdir())
    assert written() == ['crowd.png', 'crowd_page02.png']
    assert Image.open(tmp_path / 'out/events/crowd.png').size[0] < 1000
    analysis.analyze([folder / 'day1_4Gy_1.tif'], tmp_path / 'out', 'acas', overwrite=True, quiet=True)
    assert written() == ['day1_4Gy_1.png']

def test_points_in_time_are_no_spheroids():
    names = [f'{o}.tif: time {t}' for o in ('control', 'drug') for t in (1, 2)]
    made = assign_groups(names, pd.DataFrame(dict(image=['control.tif', 'drug.tif'], condition=['c', 'd'])), control='c')
    assert list(made.table.spheroid) == ['control.tif']*2 + ['drug.tif']*2 and 'points in time' in made.notes[0]
    assert list(assign_groups(['c_1.tif: time 1', 'd_1.tif: time 1'], pattern='{condition}_{spheroid}.tif', control='c').table.condition) == ['c', 'd']

def test_columns_by_other_names(tmp_path):
    "what a column is not understood for is said; Excel's own first line is none of the table"
    (tmp_path / 'groups.csv').write_text('sep=;\nImage;Condition;Spheroid ID;Patient;notes\na.tif;c;1;7;x;;\nb.tif;d;1;7;y\n')
    made = assign_groups(['a.tif', 'b.tif'], tmp_path / 'groups.csv', control='c')
    assert list(made.table['sample']) == ['7', '7'] and list(made.table.spheroid) == ['1', '1'] and 'of column notes no use is made' in made.notes[0]

def test_a_name_without_its_ending():
    made = assign_groups(['a.tif', 'a.v1.tif'], pd.DataFrame(dict(image=['a.v1', 'a'], condition=['c', 'd'])), control='c')
    assert list(made.table.image) == ['a.v1.tif', 'a.tif']

def test_corrected_counts_are_pointed_at(results):
    shutil.copytree(results, results / 'corrected')
    assert any(str(results / 'corrected') in o for o in compare(results, pattern=PATTERN[1], control='untreated').notes)
    assert not any('corrections' in o for o in compare(results / 'corrected', pattern=PATTERN[1], control='untreated').notes)
