"Reviews of analyses as they are on disk: several images, no nuclei, files from ImageJ, and what can go wrong"
import json, os, sys

import numpy as np, pandas as pd, pytest

from apoptosis_nb.conditions import compare
from apoptosis_nb.core import InputError, write_json, write_table
from apoptosis_nb.counting import count_mask, count_stacks
from apoptosis_nb.images import file_stems, write_stack
from apoptosis_nb.review import AGREEMENT, Review, Reviewer, Session, agreement, corrections_from_rois, find_image, read_corrections
from apoptosis_nb.rois import geojson_objects, roi_objects, write_geojson, write_rois

UM = .65
PLACES = {1: [(30, 30), (30, 90), (90, 30)], 2: [(90, 90), (30, 150)]} # y, x of discs: nuclei, events

def mask(shift=0):
    y, x = np.mgrid[:120, :180]
    mask = np.zeros(y.shape, np.uint8)
    for label, places in PLACES.items():
        for cy, cx in places: mask[np.hypot(y - cy, x - cx - shift) < 9] = label
    return mask

def analysis(folder, names=('a.tif', 'b.tif'), nuclei=True, depth=1, shift=0):
    "What `analyze` writes for images of three nuclei and two events, and one file that could not be read"
    images, events, nucleus_rows, planes = [], [], [], []
    for name, n in zip(names, np.broadcast_to(depth, len(names))):
        planes = [count_mask(mask(shift), UM) for _ in range(n)]
        write_stack(folder / 'images' / name, np.stack([mask(shift).astype('uint16')*1000 + 50]*n), UM)
        for z, counted in enumerate(planes, 1):
            counts = counted.counts if nuclei else dict(n_intact=None, n_apoptotic=len(counted.events))
            images.append(dict(image=name, z=z, method='unet', height_px=120, width_px=180, pixel_size_um=UM, **counts, error=None))
            events.append(counted.events.assign(image=name, z=z, score=[.9, .6], x_um=counted.events.x_px*UM, y_um=counted.events.y_px*UM))
            if nuclei: nucleus_rows.append(counted.nuclei.assign(image=name, z=z))
        if nuclei:
            labels = np.stack([[o.nucleus_labels, o.event_labels] for o in planes]).astype('uint16')
            write_stack(folder / 'found/labels' / f'{file_stems(names)[name]}.ome.tif', labels[0] if n == 1 else labels, UM, axes='CYX' if n == 1 else 'ZCYX')
    images = pd.DataFrame([*images, dict(image='broken.tif', method='unet', error='cannot be read')], columns=['image', 'z', 'method', 'height_px', 'width_px', 'pixel_size_um', 'n_intact', 'n_apoptotic', 'error'])
    write_table(images.assign(apoptotic_ratio=np.nan).astype(dict(z='Int64')), folder / 'found/images.csv')
    write_table(pd.concat(events or [pd.DataFrame(columns=['image', 'z', 'event', 'x_px', 'y_px', 'score'])]), folder / 'found/events.csv')
    write_table(pd.concat(nucleus_rows) if nucleus_rows else pd.DataFrame(columns=['image', 'z', 'nucleus', 'x_px', 'y_px', 'area_um2', 'distance_um']), folder / 'found/nuclei.csv')
    write_json(dict(parameters=dict(channel=None, core_px=None)), folder / 'found/run.json')
    return folder / 'found', planes

def test_planes_and_images_one_after_the_other(tmp_path):
    found, _ = analysis(tmp_path, depth=2)
    session, seen = Session(Review(found), tmp_path / 'images'), []
    while len(session.review.unreviewed):
        seen.append(session.chosen)
        session.do('accept')
    assert seen == [(name, z, 'event', n) for name in ('a.tif', 'b.tif') for z in (1, 2) for n in (2, 1)] # the doubtful one first
    corrected = Review(found).save().images
    assert corrected.n_intact[:4].tolist() == [3]*4 and corrected.n_unreviewed[:4].tolist() == [0]*4
    assert pd.isna(corrected.n_apoptotic[4]) and corrected.error[4] == 'cannot be read'

def test_images_of_unequal_depth(tmp_path):
    found, _ = analysis(tmp_path, ('deep.tif', 'b.tif', 'last.tif'), depth=(3, 1, 2))
    review = Review(found)
    tables = review.tables
    write_table(count_stacks(tables.images, tables.events, tables.nuclei, {'deep.tif': 10., 'last.tif': 50.}), found / 'stacks.csv')
    review.decide(('deep.tif', 3, 'event', 1), 'relabel')
    review.save()
    stacks = [pd.read_csv(o / 'stacks.csv')[['image', 'n_planes', 'z_step_um', 'n_intact', 'n_apoptotic']].values.tolist() for o in (found, found / 'corrected')]
    assert stacks == [[['deep.tif', 3, 10., n, 2], ['last.tif', 2, 50., 6, 4]] for n in (3, 4)] # planes 50 um apart show other nuclei
    for name, n in (('events', {('deep.tif', 3): 1}), ('nuclei', {('deep.tif', 3): 4})):
        table = pd.read_csv(found / f'corrected/{name}.csv')
        planes = [('deep.tif', 1), ('deep.tif', 2), ('deep.tif', 3), ('b.tif', 1), ('last.tif', 1), ('last.tif', 2)]
        assert list(zip(table.image, table.z)) == [o for o in planes for _ in range(n.get(o, 2 if name == 'events' else 3))], 'plane by plane, in the order of images.csv'

def test_nothing_could_be_read(tmp_path):
    found, _ = analysis(tmp_path, names=())
    assert list(Review(found).agreement()) == AGREEMENT and not len(Review(found).agreement())

def test_without_nuclei(tmp_path):
    "The window classifier counts events alone, and draws no outlines"
    found, _ = analysis(tmp_path, nuclei=False)
    session = Session(Review(found), tmp_path / 'images')
    session.do('relabel')
    session.do('click', y_px=92, x_px=92)
    assert session.chosen == ('a.tif', 1, 'event', 2) and len(session.review.corrections) == 1 # its circle, not a new one
    session.do('click', y_px=60, x_px=60)
    assert session.review.corrections.action.tolist() == ['relabel', 'add']
    corrected = session.review.save()
    assert corrected.images.n_intact.isna().all() and corrected.images.apoptotic_ratio.isna().all() and corrected.images.n_apoptotic[:2].tolist() == [2, 2]
    assert corrected.nuclei.review.tolist() == ['was event 2']

def test_rois_corrected_in_imagej(tmp_path):
    roifile = pytest.importorskip('roifile', reason='roifile is not installed')
    found, planes = analysis(tmp_path, names=['a.tif'], depth=2)
    write_rois(found / 'rois/a.zip', planes, UM)
    rois = {o.name: o for o in roifile.ImagejRoi.fromfile(found / 'rois/a.zip')}
    del rois['z1 event 2']
    rois['z2 nucleus 3'].group = 2
    oval = roifile.ImagejRoi.frompoints([[1, 1], [5, 1], [5, 5], [1, 5]])
    oval.roitype, oval.name, oval.position = roifile.ROI_TYPE.OVAL, '0003-0003', 2
    (tmp_path / 'back').mkdir()
    roifile.roiwrite(tmp_path / 'back/a.zip', [*rois.values(), oval])
    review = Review(found, by='B.')
    rows = corrections_from_rois(review, tmp_path / 'back/a.zip')
    got = {(o.z, o.kind, o.number): o.action for o in rows.itertuples()}
    assert got == {(1, 'event', 1): 'accept', (1, 'event', 2): 'reject', (2, 'event', 1): 'accept', (2, 'event', 2): 'accept', (2, 'nucleus', 3): 'relabel', (2, 'event', 3): 'add'}
    review.take(rows)
    assert review.corrected.images.n_apoptotic[:2].tolist() == [1, 4] and review.corrected.images.n_intact[:2].tolist() == [3, 2]
    assert len(corrections_from_rois(review, tmp_path / 'back/a.zip')) == 0
    roifile.roiwrite(tmp_path / 'back/events.zip', [o for name, o in rois.items() if 'nucleus' not in name])
    assert not (corrections_from_rois(review, tmp_path / 'back/events.zip', image='a.tif').kind == 'nucleus').any() # nothing is said about nuclei
    with pytest.raises(InputError, match='called like no image'): corrections_from_rois(review, tmp_path / 'back/events.zip')

def test_words_stay_as_they_are(tmp_path):
    found, _ = analysis(tmp_path)
    review = Review(found, by='0042')
    for n, note in ((1, '0012'), (2, 'NA')): review.decide(('a.tif', 1, 'event', n), 'accept', note)
    again = Review(found)
    again.decide(('b.tif', 1, 'event', 1), 'reject')
    assert read_corrections(again.path).note.tolist() == ['0012', 'NA', ''] and read_corrections(again.path).by.tolist() == ['0042', '0042', '']

@pytest.mark.parametrize('place, message', [(('c.tif', 1, 5, 5), 'no plane 1 of c.tif'), (('a.tif', 9, 5, 5), 'no plane 9'), (('a.tif', 1, np.nan, 5), 'is no place'), (('a.tif', 1, 5, 5, 'foo'), "kind 'foo'")])
def test_what_cannot_be_added(tmp_path, place, message):
    found, _ = analysis(tmp_path)
    with pytest.raises(InputError, match=message): Review(found).add(*place)
    assert not (found / 'corrections.csv').exists()

def test_two_screens_of_one_folder(tmp_path):
    found, _ = analysis(tmp_path)
    one, other = Review(found), Review(found)
    assert one.add('a.tif', 1, 60, 60)[-1] == 3 and other.add('a.tif', 1, 70, 70)[-1] == 4
    with pytest.raises(InputError, match='another review'): one.undo()
    assert len(read_corrections(one.path)) == 2 and one.undo()['number'] == 4

def test_rois_of_one_plane_say_nothing_of_others(tmp_path):
    pytest.importorskip('roifile')
    found, planes = analysis(tmp_path, depth=2)
    write_rois(tmp_path / 'a.zip', planes[:1], UM)
    assert set(corrections_from_rois(Review(found), tmp_path / 'a.zip', 'a.tif').z) == {1}

@pytest.mark.parametrize('change', [dict(geometry=dict(type='Polygon', coordinates=[])), dict(geometry=dict(type='Polygon', coordinates=[[[1, 'x']]]))])
def test_a_broken_object(tmp_path, change):
    feature = dict(type='Feature', geometry=dict(type='Point', coordinates=[1, 2]), properties=dict(name=5, classification=dict(names=None)))
    (tmp_path / 'good.geojson').write_text(json.dumps(feature))
    assert len(geojson_objects(tmp_path / 'good.geojson')) == 1
    (tmp_path / 'a.geojson').write_text(json.dumps(feature | change))
    with pytest.raises(InputError, match='a.geojson: an object cannot be understood'): geojson_objects(tmp_path / 'a.geojson')

def test_measuring_lines_and_several_points(tmp_path):
    roifile = pytest.importorskip('roifile')
    line = roifile.ImagejRoi.frompoints([[10, 10], [50, 50]])
    line.roitype = roifile.ROI_TYPE.POLYLINE
    line.tofile(tmp_path / 'line.roi')
    with pytest.raises(InputError, match='line.roi.*polyline'): roi_objects(tmp_path / 'line.roi')
    points = roifile.ImagejRoi.frompoints([[10, 10], [20, 10], [30, 10]])
    points.roitype, points.counters, points.counter_positions = roifile.ROI_TYPE.POINT, np.zeros(3, np.uint8), np.array([1, 3, 0], np.uint32)
    points.position = 2
    points.tofile(tmp_path / 'points.roi')
    found = roi_objects(tmp_path / 'points.roi')
    assert found.z.tolist() == [1, 3, 2] and (found.kind == 'event').all(), 'the plane of each, or that of all'

def test_a_ring_in_a_bay_keeps_its_hole(tmp_path):
    labels = np.zeros((40, 40), np.int32)
    labels[2:38, 2:38] = 1
    labels[6:34, 6:38] = 0
    labels[12:28, 12:28] = 1
    labels[17:23, 17:23] = 0
    counted = count_mask((labels > 0).astype('uint8'), UM, hole_um2=0.)
    counted.nucleus_labels = labels
    counted.nuclei = counted.nuclei.iloc[:1].assign(nucleus=1)
    write_geojson(tmp_path / 'a.geojson', [counted], UM)
    parts = json.loads((tmp_path / 'a.geojson').read_text())['features'][0]['geometry']['coordinates']
    holes = {len(o): o for o in parts}
    assert sorted(holes) == [1, 2] and np.ptp(holes[2][0], 0).tolist() == [16, 16], 'of the ring, not of the bow around it'

def test_two_reviewers_at_once(tmp_path):
    "Neither loses what the other one has said"
    found, _ = analysis(tmp_path)
    one, two = Review(found, by='one'), Review(found, by='two')
    one.decide(('a.tif', 1, 'event', 1), 'accept')
    two.decide(('b.tif', 1, 'event', 1), 'reject')
    assert Review(found).corrections.by.tolist() == ['one', 'two'] and len(two.corrections) == 2

def test_full_disk(tmp_path, monkeypatch):
    "What could not be written was not said, and the reviewer is told"
    found, _ = analysis(tmp_path)
    session = Session(Review(found), tmp_path / 'images')
    session.do('accept')
    before, chosen = (found / 'corrections.csv').read_bytes(), session.chosen
    def full(*_): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', full)
        session.do('reject')
    assert 'No space left' in session.message and session.chosen == chosen and len(session.review.corrections) == 1
    assert (found / 'corrections.csv').read_bytes() == before and not list(found.glob('.*'))

def test_analysed_again(tmp_path):
    "Corrections do not stick to the numbers of another analysis"
    found, _ = analysis(tmp_path)
    Review(found).decide(('a.tif', 1, 'event', 1), 'reject')
    analysis(tmp_path, shift=5)
    with pytest.raises(InputError, match='found.*analysed again'): Review(found)

def test_what_is_not_there(tmp_path):
    found, _ = analysis(tmp_path)
    review = Review(found)
    for key, action in ((('a.tif', 1, 'event', 9), 'accept'), (('c.tif', 1, 'event', 1), 'accept'), (('a.tif', 1, 'event', 1), 'add')):
        with pytest.raises(InputError): review.decide(key, action)
    assert not (found / 'corrections.csv').exists()
    with pytest.raises(InputError, match='give images='): Session(review, tmp_path)
    write_stack(tmp_path / 'images/a.tif', np.zeros((50, 60), 'uint8'), UM)
    with pytest.raises(InputError, match='50, 60'): Session(review, tmp_path / 'images')
    (found / 'run.json').write_text(json.dumps({}))
    with pytest.raises(InputError, match='run.json'): Review(found)

def test_images_of_one_name(tmp_path):
    names = [str(tmp_path / 'images' / o) for o in ('x/a.tif', 'y/a.tif')]
    found, _ = analysis(tmp_path, names)
    session = Session(Review(found), tmp_path / 'images')
    session.do('plane', value=1)
    assert session.at == (names[1], 1) and session.plane.events.max() == 2 and find_image(names[1]).parent.name == 'y'

def test_nobody_has_looked(tmp_path):
    found, _ = analysis(tmp_path)
    table = agreement(Review(found).tables, Review(found).corrections)
    assert table.unreviewed.tolist() == [2, 2, 4] and table[['precision', 'recall', 'f1']].isna().all(axis=None)

def test_silence_overrules_nothing(tmp_path):
    "An event that was rejected on the screen and is still in the file stays rejected; a copy of a ROI is a new object"
    roifile = pytest.importorskip('roifile', reason='roifile is not installed')
    found, planes = analysis(tmp_path, names=['a.tif'])
    write_rois(found / 'rois/a.zip', planes, UM)
    review = Review(found)
    review.decide(('a.tif', 1, 'event', 1), 'reject')
    assert corrections_from_rois(review, found / 'rois/a.zip').values.tolist()[0][2:4] == ['event', 2]
    rois = roifile.ImagejRoi.fromfile(found / 'rois/a.zip')
    roifile.roiwrite(tmp_path / 'a.zip', [*rois, rois[0]])
    rows = corrections_from_rois(review, tmp_path / 'a.zip', accept=False)
    assert list(zip(rows.kind, rows.number, rows.action)) == [('nucleus', 4, 'add')]

def test_widget(tmp_path):
    "What the browser reports is done, and what is to be seen is sent"
    pytest.importorskip('anywidget', reason='anywidget is not installed')
    found, _ = analysis(tmp_path)
    reviewer = Reviewer(found, tmp_path / 'images', by='A.')
    widget = reviewer.widget
    assert widget.scene['left'] == 4 and widget.overview.startswith('data:image/jpeg') and 'render' in str(widget._esm)
    widget._handle_custom_msg(dict(act='reject', chosen=widget.scene['chosen'], note='dust'), [])
    assert widget.scene['left'] == 3 and Review(found).corrections.note.tolist() == ['dust']
    picture = widget.overview
    widget._handle_custom_msg(dict(act='plane', value=1), [])
    assert widget.scene['plane'] == 1 and widget.scene['counts'][2] == ['all planes', 'found', '6', '4', '0.4000'] and widget.overview == picture # both images are the same

def test_without_anywidget(tmp_path, monkeypatch):
    from apoptosis_nb import review
    found, _ = analysis(tmp_path)
    reviewer = Reviewer(found, tmp_path / 'images')
    review._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, 'anywidget', None)
    with pytest.raises(InputError, match=r'apoptosis_nb\[review\]'): reviewer._ipython_display_()
    reviewer.do('accept')
    assert len(Review(found).corrections) == 1

def test_files_of_one_name(tmp_path):
    "a folder in an image's name tells it from another"
    for o in 'ab':
        (tmp_path / o).mkdir()
        write_stack(tmp_path / o / 'img.tif', np.zeros((9, 9), np.uint8), UM)
    both = [tmp_path / o / 'img.tif' for o in 'ab']
    assert find_image('f/b/img.tif', [tmp_path / 'b']) == both[1] == find_image('b/img.tif', both) and find_image(str(both[0]), tmp_path / 'b') == both[0]
    with pytest.raises(InputError, match='is not in'): find_image('f/a/img.tif', tmp_path / 'b')
    with pytest.raises(InputError, match='may be'): find_image('img.tif', both)

def test_a_comparison_of_earlier_corrections_goes(tmp_path):
    found, _ = analysis(tmp_path, ('1_ctrl_1.tif', '1_drug_2.tif'))
    review = Review(found)
    review.save()
    compare(found / 'corrected', pattern='{sample}_{condition}_{spheroid}.tif', control='ctrl')
    review.save() # nothing was corrected: it still holds
    assert (found / 'corrected/conditions.csv').exists() and 'conditions' in json.loads((found / 'corrected/run.json').read_text())
    review.decide(('1_ctrl_1.tif', 1, 'event', 1), 'reject')
    review.save()
    record = json.loads((found / 'corrected/run.json').read_text())
    assert not (found / 'corrected/conditions.csv').exists() and 'compare again' in record['notes'][0] and 'files' not in record
    compare(found / 'corrected', pattern='{sample}_{condition}_{spheroid}.tif', control='ctrl')

@pytest.mark.parametrize('place', [(-30, 20), (20, -1), (120, 20), (20, 200)])
def test_what_lies_outside_is_not_taken(tmp_path, place):
    review = Review(analysis(tmp_path)[0])
    with pytest.raises(InputError, match='is no place'): review.add('a.tif', 1, *place)
    assert not len(read_corrections(review.path))
