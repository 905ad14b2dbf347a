"The reviewer in JupyterLab, driven by a headless Chromium as a biologist would: keys, buttons, mouse"
import json, shutil

import pandas as pd, pytest

pytest.importorskip('anywidget', reason="the reviewer's package is missing: pip install anywidget")
CELLS = ["from apoptosis_nb.review import Reviewer\nreviewer = Reviewer('found', 'images', by='browser')\nreviewer", 'print(len(reviewer.review.corrections), "read by the notebook")']

@pytest.fixture(scope='module')
def folder(root, tmp_path_factory):
    "An analysis of the sample, its image, and a notebook that reviews it"
    from apoptosis_nb.analysis import analyze
    folder = tmp_path_factory.mktemp('review')
    (folder / 'images').mkdir()
    shutil.copy(root / 'data/sample/s01_4Gy_sph1.ome.tif', folder / 'images')
    analyze([folder / 'images'], folder / 'found', 'acas', quiet=True)
    cells = [dict(cell_type='code', execution_count=None, id=f'c{i}', metadata={}, outputs=[], source=o) for i, o in enumerate(CELLS)]
    (folder / 'review.ipynb').write_text(json.dumps(dict(cells=cells, metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python')), nbformat=4, nbformat_minor=5)))
    return folder

@pytest.fixture(scope='module')
def lab(folder, start_lab): return f'{start_lab(folder)}/lab/tree/review.ipynb'

@pytest.fixture
def page(open_page, folder):
    page = open_page(1280, 1150)
    yield page
    page.screenshot(path=folder / 'last.png')

def test_review(page, lab, folder):
    expect = pytest.importorskip('playwright.sync_api').expect
    page.goto(lab)
    page.locator('.jp-Notebook .jp-Cell').first.wait_for()
    page.get_by_text('| Idle').wait_for() # the kernel is there
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_text('Run All Cells', exact=True).click()
    review = page.locator('.apoptosis-review')
    named = lambda name: review.locator(f'[data-name={name}]')
    count = lambda row, column: named('counts').locator('tr').nth(row).locator('td').nth(column)
    corrections = lambda: pd.read_csv(folder / 'found/corrections.csv')
    images, events = (pd.read_csv(folder / f'found/{o}.csv') for o in ('images', 'events'))
    n, here, cells = len(events), images.iloc[0], page.locator('.jp-Cell')

    expect(named('left')).to_have_text(f'{n} of {n} left')
    expect(count(1, 3)).to_have_text(str(here.n_apoptotic))
    named('about').click() # anywhere: the widget takes the keys
    page.keyboard.press('r')
    expect(named('left')).to_have_text(f'{n - 1} of {n} left')
    expect(count(2, 3)).to_have_text(str(here.n_apoptotic - 1))
    assert corrections().action.tolist() == ['reject']
    named('note').fill('sure')
    review.get_by_role('button', name='Accept').click()
    expect(named('left')).to_have_text(f'{n - 2} of {n} left')
    for key in 'ndd': page.keyboard.press(key) # D, D deletes a cell of JupyterLab, and means nothing here
    expect(cells).to_have_count(2)

    named('plane').select_option(index=0)
    expect(count(1, 3)).to_have_text(str(here.n_apoptotic))
    box = named('whole').bounding_box()
    page.mouse.click(box['x'] + .8*box['width'], box['y'] + .83*box['height']) # nothing is there
    expect(named('about')).to_have_text('Nothing is chosen')
    box = named('part').bounding_box()
    page.mouse.click(box['x'] + box['width']/2, box['y'] + box['height']/2)
    expect(named('about')).to_contain_text('added')
    rows = corrections()
    assert rows.action.tolist() == ['reject', 'accept', 'add'] and rows.note[1] == 'sure' and set(rows.by) == {'browser'}
    assert abs(rows.x_px[2] - .8*here.width_px) < 2 and abs(rows.y_px[2] - .83*here.height_px) < 2
    expect(count(2, 3)).to_have_text(str(here.n_apoptotic + 1 - (rows.z[0] == 1)))
    page.screenshot(path=folder / 'added.png')

    page.keyboard.press('u')
    expect(named('message')).to_contain_text('Taken back')
    assert corrections().action.tolist() == ['reject', 'accept']
    cells.nth(1).click()
    page.keyboard.press('Shift+Enter')
    page.get_by_text('2 read by the notebook').wait_for()
