"Corrections on disk become masks, tiles and a network that analyses images; small networks, one epoch"
import numpy as np, pandas as pd, pytest

from apoptosis_nb.analysis import analyze
from apoptosis_nb.core import InputError, write_json, write_table
from apoptosis_nb.counting import count_mask
from apoptosis_nb.fine_tuning import compare_networks, corrected_planes, fine_tune, real_tiles, save_tuned, simulated_planes, split_marked, verdict
from apoptosis_nb.images import file_stems, write_stack
from apoptosis_nb.mitocheck import read_registry
from apoptosis_nb.model_cards import model_card
from apoptosis_nb.review import Review
from apoptosis_nb.unet import Segmenter, build_unet, load_segmenter

UM = .65
PLACES = {1: [(30, 30), (30, 90), (90, 30)], 2: [(90, 90), (30, 150)]} # y, x of discs: nuclei, events

def disc(y, x): return np.hypot(*(np.indices((120, 180)) - np.array([y, x])[:, None, None])) < 9

def mask():
    classes = np.zeros((120, 180), np.uint8)
    for label, places in PLACES.items():
        for place in places: classes[disc(*place)] = label
    return classes

def analysed(folder, names, depth=1, labels=True):
    "What `analyze` writes of images with three nuclei and two events; a third event, dim, was overlooked"
    counted, rows = count_mask(mask(), UM), dict(images=[], events=[], nuclei=[])
    light = (np.where(disc(95, 150), 300, 50) + 900*(mask() > 0)).astype('uint16')
    for name in names:
        write_stack(folder / 'images' / name, np.stack([light]*depth), UM)
        for z in range(1, depth + 1):
            rows['images'].append(pd.DataFrame([dict(image=name, z=z, method='unet', height_px=120, width_px=180, pixel_size_um=UM, **counted.counts, error=None)]))
            rows['events'].append(counted.events.assign(image=name, z=z, score=.9))
            rows['nuclei'].append(counted.nuclei.assign(image=name, z=z))
        both = np.stack([counted.nucleus_labels, counted.event_labels]).astype('uint16')
        if labels: write_stack(folder / 'found/labels' / f'{file_stems(names)[name]}.ome.tif', both if depth == 1 else np.stack([both]*depth), UM, axes='CYX' if depth == 1 else 'ZCYX')
    for what, tables in rows.items(): write_table(pd.concat(tables), folder / f'found/{what}.csv')
    write_json(dict(parameters=dict(channel=None, core_px=None)), folder / 'found/run.json')
    return folder / 'found'

def corrected(folder, names, **how):
    review = Review(analysed(folder, names, **how))
    for name in names:
        review.decide((name, 1, 'event', 1), 'relabel')
        review.decide((name, 1, 'nucleus', 1), 'reject')
        review.add(name, 1, 95, 150)
    return review

def test_the_mask_after_the_review(tmp_path):
    "Exact, but for the outline of what was added"
    review = corrected(tmp_path, ['a.tif'], depth=2)
    (plane,), notes = corrected_planes(review.folder, tmp_path / 'images')
    first = review.tables.events.iloc[0][['y_px', 'x_px']].astype(float)
    gone = review.tables.nuclei.iloc[0][['y_px', 'x_px']].astype(float)
    expected = np.where(disc(*first), 1, np.where(disc(*gone), 0, mask()))
    far = ~disc(95, 150)
    assert (plane.image, plane.z, plane.unit, plane.n_changed) == ('a.tif', 1, 'a.tif', 3) # plane 2 was not looked at
    assert (plane.classes[far] == expected[far]).all() or np.abs((plane.classes != expected)[far]).sum() <= 30 # the rim of the added one
    assert (plane.classes[disc(95, 150)] == 2).mean() > .95
    assert len(plane.points('event')) == 2 and len(plane.points('nucleus')) == 3 and '1 event(s)' in notes[0]
    review.decide(('a.tif', 1, 'event', 2), 'reject')
    intact, background = (corrected_planes(review.folder, tmp_path / 'images', rejected=o)[0][0].classes for o in (1, 0))
    rejected = disc(*review.tables.events.iloc[1][['y_px', 'x_px']].astype(float))
    assert (intact[rejected] == 1).all() and (background[rejected] == 0).all() and (intact == background)[~rejected].all()

def test_images_of_a_spheroid_stay_together(tmp_path):
    names = [f'd1_0Gy_{s}_z{z}.tif' for s in 'abc' for z in (1, 2)]
    review = corrected(tmp_path, names)
    planes, _ = corrected_planes(review.folder, tmp_path / 'images', pattern='{sample}_{condition}_{spheroid}_*.tif')
    assert {o.unit for o in planes} == {'d1 0Gy a', 'd1 0Gy b', 'd1 0Gy c'}
    assert [len(o) for o in split_marked(planes).values()] == [2, 2, 2]
    table = tmp_path / 'groups.csv'
    table.write_text('image,condition,spheroid\n' + '\n'.join(f'{o},0Gy,{o[7]}' for o in names))
    assert {o.unit for o in corrected_planes(review.folder, tmp_path / 'images', table)[0]} == {'0Gy a', '0Gy b', '0Gy c'}
    table.write_text('image,condition,spheroid\nd1_ctrl_x_z1.tif,ctrl,x\n' + '\n'.join(f'{o},0Gy,{o[7]}' for o in names)) # a condition of which nothing was reviewed
    assert {o.unit for o in corrected_planes(review.folder, tmp_path / 'images', table)[0]} == {'0Gy a', '0Gy b', '0Gy c'}

def test_what_was_fetched_in_part_is_not_used(tmp_path, monkeypatch):
    "a fetch that was stopped leaves a folder, of whose few files the splits would be others"
    monkeypatch.delenv('APOPTOSIS_NB_DATA', raising=False)
    monkeypatch.setenv('APOPTOSIS_NB_CACHE', str(tmp_path))
    for name in ('dsb2018/images', 'mitocheck/Apoptosis'): (tmp_path / name).mkdir(parents=True)
    (tmp_path / 'mitocheck/Apoptosis' / next(o for o in read_registry() if o.startswith('Apoptosis/')).split('/')[1]).write_bytes(b'x')
    assert real_tiles(4, 64) == dict(training=[], validation=[])

def test_what_cannot_be_learned_from(tmp_path):
    found = analysed(tmp_path, ['a.tif', 'b.tif'], labels=False)
    with pytest.raises(InputError, match='nothing was corrected'): corrected_planes(found, tmp_path / 'images')
    Review(found).decide(('a.tif', 1, 'event', 1), 'accept')
    with pytest.raises(InputError, match='has no labels'): corrected_planes(found, tmp_path / 'images')

def test_a_network_of_ones_own(tmp_path):
    "From corrections to an analysis with the new weights; the base's metadata stay, and its file too"
    review = corrected(tmp_path, [f'{o}.tif' for o in 'abc'])
    base = tmp_path / 'base.keras'
    Segmenter(build_unet(2, 2), UM, power=.6, second_look=True, counting=dict(event_score=.3, nucleus_um2=15.)).save(base)
    before = base.read_bytes()
    sets = split_marked(corrected_planes(review.folder, tmp_path / 'images')[0])
    simulated = {name: simulated_planes(1, 128, .05, 1, seed=i, doses_gy=(4,)) for i, name in enumerate(('training', 'validation', 'test'))}
    with pytest.raises(InputError, match='multiple of 4'): fine_tune(sets, simulated, tmp_path / 'training', base, tile_px=66)
    tuned, history = fine_tune(sets, simulated, tmp_path / 'training', base, epochs=1, tile_px=64, per_plane=2, real=False, quiet=True)
    assert len(history) == 1 and base.read_bytes() == before
    assert any(not np.array_equal(*o) for o in zip(tuned.model.get_weights(), load_segmenter(base).model.get_weights()))
    table = compare_networks(tuned, sets, simulated, base)
    assert table.n_planes.tolist() == [1]*6 and table.n_events[:3].tolist() == [2]*3 and len(verdict(table)) >= 3
    with pytest.raises(InputError, match='.keras'): save_tuned(tuned, tmp_path / 'mine.h5', table)
    again = load_segmenter(save_tuned(tuned, tmp_path / 'mine.keras', table))
    assert again.second_look and again.power == .6 and again.about['counting']['nucleus_um2'] == 15
    about, card = again.about['fine_tuned'], model_card(tmp_path / 'mine.keras')
    assert '3 corrections in 1 planes of 1 images' in card and '| your images | after | 2 |' in card and 'Not measured: no results' not in card
    assert (about['base'], about['n_corrections'], about['n_planes'], about['n_tiles'], about['n_tiles_before']) == ('base.keras', 3, 1, 2, 2) and len(again.about['tested']) == 6
    save_tuned(tuned, tmp_path / 'mine.keras', table.assign(f1=np.nan), overwrite=True) # nothing was found, nothing is to be found
    assert '| your images | after | 2 | – |' in model_card(tmp_path / 'mine.keras')
    analyze([tmp_path / 'images'], tmp_path / 'again', weights=tmp_path / 'mine.keras', pictures=False, quiet=True)
    assert pd.read_csv(tmp_path / 'again/images.csv').error.isna().all()
