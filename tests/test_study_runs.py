"The whole study on small images: it ends well, goes on where it was killed, and has nothing to do when it is done"
import json, os, shutil, signal, subprocess, sys, time
from pathlib import Path

import pandas as pd, pytest

from apoptosis_nb.core import read_table, weights_folder
from apoptosis_nb.model_cards import collect_results
from apoptosis_nb.summary import FIGURES, TABLES, missing_results

ROOT = Path(__file__).parents[1]
RESULTS, DATA = ROOT/'results/smoke', ROOT/'data/simulated/smoke'

def snakemake(*more):
    pytest.importorskip('snakemake')
    environment = dict(os.environ, PATH=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}', TF_CPP_MIN_LOG_LEVEL='3')
    command = [sys.executable, '-m', 'snakemake', '--configfile', 'config/smoke.yaml', '--cores', '2', '--rerun-incomplete', '--retries', '1', '--nolock', *more]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

def finish(process):
    out = process.communicate()[0]
    assert process.returncode == 0, out[-6000:]
    return out

@pytest.fixture(scope='module')
def run():
    "A run that was killed once, without warning, and then started again"
    for folder in (RESULTS, DATA): shutil.rmtree(folder, ignore_errors=True)
    killed = snakemake()
    deadline = time.time() + 300
    while not (RESULTS/'tables/splits.csv').is_file() and killed.poll() is None and time.time() < deadline: time.sleep(.5)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert (RESULTS/'tables/splits.csv').is_file() and not (RESULTS/'summary.md').exists()
    finish(snakemake())
    return RESULTS

@pytest.mark.slow
def test_every_table_and_figure_is_there(run):
    assert not missing_results(run) and json.loads((run/'run.json').read_text(encoding='utf-8'))['seconds'] > 0
    assert len(TABLES) == 9 and len(FIGURES) == 37
    text = (run/'summary.md').read_text(encoding='utf-8')
    assert 'imulated' in text and 'fig_35' in text

@pytest.mark.slow
def test_tables_say_what_they_were_made_with(run):
    for name in TABLES:
        table = read_table(run/'tables'/f'{name}.csv')
        assert len(table), name
        assert [o for o in table if o.startswith('thesis_')], f'{name}: the thesis beside ours'
        assert {'seed', 'seeds'} & set(table), f'{name}: what it was made with'

@pytest.mark.slow
def test_what_goes_with_the_networks_are_numbers(run):
    found = collect_results(run/'tables', weights_folder())
    assert len(found) and pd.api.types.is_numeric_dtype(found.value) and found.value.notna().all()

@pytest.mark.slow
def test_tables_agree_with_each_other(run):
    "true positives and missed events are all events; the annotator's and the truth's tables count the same detections"
    third, fourth = (read_table(run/'tables'/f'table_{n}.csv') for n in (3, 4))
    assert third.slice.tolist() == fourth.slice.tolist() and (third.detected == fourth.detected).all()
    for table in (third, fourth):
        assert (table.tp + table.fn == table.annotated).all() and (table.tp + table.fp == table.detected).all()
    index = pd.read_csv(DATA/'index.csv').set_index('slice')
    assert (index.n_apoptotic_truth[fourth.slice].to_numpy() == fourth.annotated).all()
    assert (index.n_apoptotic_acas[third.slice].to_numpy() == third.annotated).all()

@pytest.mark.slow
def test_run_again_it_has_nothing_to_do(run):
    before = {o: o.stat().st_mtime_ns for o in run.rglob('*') if o.is_file()}
    assert 'Nothing to be done' in finish(snakemake())
    assert before == {o: o.stat().st_mtime_ns for o in run.rglob('*') if o.is_file()}
