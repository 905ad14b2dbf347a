"The project opened in JupyterLab, in a real browser: a guide by Run All, as it is"
import shutil

import pytest

MODEL = '[...window.jupyterapp.shell.currentWidget.content.model.cells]' # JupyterLab draws only the cells near the window, so its model is asked

@pytest.mark.slow
def test_guide_by_run_all(open_page, start_lab, root, tmp_path):
    "every cell runs, tables and figures are there, and nothing went wrong"
    expect = pytest.importorskip('playwright.sync_api').expect
    shutil.copytree(root / 'nbs/guides', tmp_path / 'guides')
    page = open_page(1280, 1000)
    page.goto(f'{start_lab(tmp_path)}/lab/tree/guides/10_analyse_your_images.ipynb')
    page.locator('.jp-Notebook .jp-Cell').first.wait_for()
    page.get_by_text('| Idle').wait_for() # the kernel is there
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_text('Run All Cells', exact=True).click()
    last = f"{MODEL}.filter(o => o.type === 'code').at(-1)"
    page.wait_for_function(f"() => {last}.executionCount || {MODEL}.some(o => o.type === 'code' && o.toJSON().outputs.some(p => p.output_type === 'error'))", timeout=600_000)
    cells = page.evaluate(f'() => {MODEL}.map(o => o.toJSON())')
    outputs = [o for cell in cells for o in cell.get('outputs', [])]
    assert not [o for o in outputs if o['output_type'] == 'error' or o.get('name') == 'stderr']
    kinds = [kind for o in outputs for kind in o.get('data', {})]
    assert kinds.count('image/png') >= 5 and kinds.count('text/html') >= 3
    for heading in ('## Look first', '## Check before you count', '## Conditions'):
        at = next(i for i, o in enumerate(cells) if ''.join(o['source']).startswith(heading))
        page.evaluate(f"() => window.jupyterapp.shell.currentWidget.content.scrollToItem({at + 1}, 'start')")
        expect(page.locator('.jp-OutputArea img').first).to_be_visible()
        page.wait_for_timeout(1000) # pictures are drawn
        page.screenshot(path=tmp_path / f'{heading[3:].split()[0]}.png')
