"Files that cannot be used: each an InputError that names the file"
import struct, zlib

import numpy as np, pandas as pd, pytest, tifffile
from PIL import Image

from apoptosis_nb.core import InputError, write_table
from apoptosis_nb.images import check_pixel_size, file_and_series, file_stems, read_plane, read_stack, without_time, write_stack
from apoptosis_nb.spheroids import annotations, load_index, read_labels, read_slice

noise = np.random.default_rng(0).integers(0, 4000, (3, 128, 160), np.uint16)

def png_bytes(pixels): # of (Y, X, 3) uint16
    part = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    rows = b''.join(b'\0' + o.astype('>u2').tobytes() for o in pixels)
    return b'\x89PNG\r\n\x1a\n' + part(b'IHDR', struct.pack('>IIBBBBB', *pixels.shape[1::-1], 16, 2, 0, 0, 0)) + part(b'IDAT', zlib.compress(rows)) + part(b'IEND', b'')

def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])

def missing(path): pass
def folder(path): path.mkdir()
def empty(path): path.touch()
def text(path): path.write_text('slice,x_px,y_px\n1,2,3\n' * 50)
def random_bytes(path): path.write_bytes(np.random.default_rng(1).bytes(5000))
def magic_alone(path): path.write_bytes(b'II*\0')
def nan(path): tifffile.imwrite(path, np.where(noise[0] < 9, np.nan, noise[0]).astype('f4'))
def infinite(path): tifffile.imwrite(path, np.where(noise[0] < 9, np.inf, noise[0]).astype('f8'))
def complex_numbers(path): tifffile.imwrite(path, noise[0].astype('c8'))
def rgb(path): tifffile.imwrite(path, np.moveaxis(noise, 0, -1).astype('u1'), photometric='rgb')
def rgb_png(path): Image.fromarray(np.moveaxis(noise, 0, -1).astype('u1')).save(path, format='png')
def jpeg(path): Image.fromarray(np.moveaxis(noise, 0, -1).astype('u1')).save(path, format='jpeg')
def channels(path): write_stack(path, noise, .65, axes='CYX')
def channels_and_planes(path): write_stack(path, np.stack([noise, noise]), .65, axes='ZCYX')
def channels_imagej(path): tifffile.imwrite(path, noise, imagej=True, metadata=dict(axes='CYX'))
def times(path): write_stack(path, noise, .65, axes='TYX')
def two_images(path):
    with tifffile.TiffWriter(path, ome=True) as tif: tif.write(noise[0], metadata=dict(axes='YX')); tif.write(noise[1], metadata=dict(axes='YX'))
def tiny_pixels(path): tifffile.imwrite(path, noise, ome=True, metadata=dict(axes='ZYX', PhysicalSizeX=.001, PhysicalSizeY=.001))
def huge_pixels(path): tifffile.imwrite(path, noise, ome=True, metadata=dict(axes='ZYX', PhysicalSizeX=50, PhysicalSizeY=50))
def huge_pixels_imagej(path): tifffile.imwrite(path, noise, imagej=True, resolution=(1 / 50, 1 / 50), metadata=dict(axes='ZYX', unit='um'))
def millimetres(path): tifffile.imwrite(path, noise, ome=True, metadata=dict(axes='ZYX', PhysicalSizeX=.65, PhysicalSizeXUnit='mm', PhysicalSizeY=.65, PhysicalSizeYUnit='mm'))
def not_square(path): tifffile.imwrite(path, noise, ome=True, metadata=dict(axes='ZYX', PhysicalSizeX=.65, PhysicalSizeY=.3))
def png_of_16_bit_and_colours(path): path.write_bytes(png_bytes(np.moveaxis(noise, 0, -1)))
def two_frames(path): Image.fromarray(noise[0].astype('u1')).save(path, format='gif', save_all=True, append_images=[Image.fromarray(noise[1].astype('u1'))])
def lacks_a_plane(path):
    write_stack(path, noise, .65)
    with tifffile.TiffFile(path) as tif: xml = tif.ome_metadata
    tifffile.imwrite(path, noise[:2], photometric='minisblack', metadata=None, description=xml.encode())
def no_rows(path):
    "a PNG header of 0 x 0 px"
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 0, 0, 8, 0, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b''))

@pytest.mark.parametrize('make', [
    missing, folder, empty, text, random_bytes, magic_alone, nan, infinite, complex_numbers, rgb, rgb_png, jpeg, channels, channels_and_planes, channels_imagej,
    times, two_images, tiny_pixels, huge_pixels, huge_pixels_imagej, millimetres, not_square, two_frames, lacks_a_plane, no_rows], ids=lambda o: o.__name__)
def test_refused(tmp_path, make):
    path = tmp_path / 'cells of 4 May.tif'
    make(path)
    with pytest.raises(InputError, match=path.name): read_stack(path)

def raw(path): tifffile.imwrite(path, noise, photometric='minisblack')
def compressed(path): write_stack(path, noise, .65)
def imagej(path): tifffile.imwrite(path, noise, imagej=True, metadata=dict(axes='ZYX'))
def tiles(path): tifffile.imwrite(path, noise, tile=(64, 64), compression='zlib', photometric='minisblack', metadata=None)
def png(path): Image.fromarray(noise[0]).save(path, format='png')
def lzw(path): Image.fromarray(noise[0]).save(path, format='tiff', compression='tiff_lzw')

@pytest.mark.parametrize('share', [.02, .3, .6, .95])
@pytest.mark.parametrize('make', [raw, compressed, imagej, tiles, png, lzw], ids=lambda o: o.__name__)
def test_truncated(tmp_path, make, share):
    path = tmp_path / 'half.tif'
    make(path)
    whole = read_stack(path).pixels
    cut(path, share)
    with pytest.raises(InputError, match=path.name): read_stack(path)
    with pytest.raises(InputError, match=path.name): read_plane(path, len(whole) - 1)

def test_damaged(tmp_path):
    path = tmp_path / 'damaged.ome.tif'
    write_stack(path, noise, .65)
    data = bytearray(path.read_bytes())
    data[20000:40000] = bytes(20000)
    path.write_bytes(data)
    with pytest.raises(InputError, match=path.name): read_stack(path)

@pytest.mark.parametrize('um', [.001, 50, 0, -1, np.nan, 'small'])
def test_pixel_size(tmp_path, um):
    path = tmp_path / 'cells.ome.tif'
    with pytest.raises(InputError, match=path.name): check_pixel_size(um, path)
    if not isinstance(um, str):
        with pytest.raises(InputError, match=path.name): write_stack(path, noise, um)
    assert not path.exists()
    write_stack(path, noise, .65)
    with pytest.raises(InputError, match=path.name): read_stack(path, pixel_size_um=um)

def test_override_mends_a_wrong_size(tmp_path):
    for make in (tiny_pixels, huge_pixels, not_square):
        make(tmp_path / 'cells.tif')
        assert read_stack(tmp_path / 'cells.tif', pixel_size_um=.5).pixel_size_um == .5

def test_a_plane_of_a_stack_whose_size_is_wrong(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.ones((9, 9), np.uint16), imagej=True, resolution=(1/50, 1/50), metadata=dict(unit='um'))
    with pytest.raises(InputError, match='plausible'): read_plane(tmp_path / 'a.tif', 0)
    assert read_plane(tmp_path / 'a.tif', 0, pixel_size_um=.65).all()

def test_no_size_at_all(tmp_path):
    write_stack(tmp_path / 'a.ome.tif', np.ones((9, 9), np.uint8), .65)
    content = (tmp_path / 'a.ome.tif').read_bytes()
    (tmp_path / 'a.ome.tif').write_bytes(content.replace(b'PhysicalSizeX="0.65"', b'PhysicalSizeX="0.00"').replace(b'PhysicalSizeY="0.65"', b'PhysicalSizeY="0.00"'))
    assert read_stack(tmp_path / 'a.ome.tif').pixel_size_um is None

def test_no_such_channel_or_plane(tmp_path):
    path = tmp_path / 'cells.ome.tif'
    write_stack(path, np.stack([noise, noise + 1]), .65, axes='CZYX')
    for channel in (2, -1, 'DAPI', True):
        with pytest.raises(InputError, match=path.name): read_stack(path, channel=channel)
    for z in (3, -1):
        with pytest.raises(InputError, match=path.name): read_plane(path, z, channel=0)
    for axes in ('CZYX', 'ZCYX'):
        write_stack(path, np.stack([noise, noise + 1], axis=axes.index('C')), .65, axes=axes)
        assert (read_stack(path, channel=1).pixels == noise + 1).all()
        assert (read_plane(path, 2, channel=1) == noise[2] + 1).all()

@pytest.mark.parametrize('dtype', ['u1', 'u2', 'u4', 'i2', 'f4', 'f8'])
@pytest.mark.parametrize('kind', ['ome', 'plain', 'big'])
def test_what_is_read(tmp_path, dtype, kind):
    path = tmp_path / 'cells.tif'
    for pixels in (noise.astype(dtype), noise[0].astype(dtype), noise[:1].astype(dtype)):
        if kind == 'ome': write_stack(path, pixels, .65, 10)
        else: tifffile.imwrite(path, pixels, bigtiff=kind == 'big', photometric='minisblack')
        stack = read_stack(path)
        assert stack.pixels.dtype == np.dtype(dtype) and (stack.pixels == pixels.reshape(-1, 128, 160)).all()
        assert stack.pixel_size_um == (.65 if kind == 'ome' else None)
        assert (read_plane(path, len(stack.pixels) - 1) == stack.pixels[-1]).all()

def test_three_planes_are_no_photograph(tmp_path):
    "tifffile stores three planes as the colours of one page unless told otherwise"
    with pytest.warns(DeprecationWarning): tifffile.imwrite(tmp_path / 'cells.tif', noise)
    assert (read_stack(tmp_path / 'cells.tif').pixels == noise).all()
    assert (read_plane(tmp_path / 'cells.tif', 1) == noise[1]).all()

def test_png_and_lzw(tmp_path):
    for make in (png, lzw):
        make(tmp_path / 'cells')
        assert (read_stack(tmp_path / 'cells').pixels == noise[:1]).all()
        assert (read_plane(tmp_path / 'cells', 0) == noise[0]).all()

def test_colour_chosen_or_grey(tmp_path):
    for make in (rgb, rgb_png):
        make(tmp_path / 'photo')
        assert (read_stack(tmp_path / 'photo', channel=1).pixels == noise[1].astype('u1')).all()
    Image.fromarray(np.dstack([noise[0].astype('u1')] * 3)).save(tmp_path / 'grey.png')
    assert (read_stack(tmp_path / 'grey.png').pixels == noise[0].astype('u1')).all()

def test_printers_resolution_is_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', noise[0], resolution=(300, 300), resolutionunit='INCH')
    tifffile.imwrite(tmp_path / 'b.tif', noise[0], resolution=(1e4 / .65, 1e4 / .65), resolutionunit='CENTIMETER')
    assert read_stack(tmp_path / 'a.tif').pixel_size_um is None
    assert read_stack(tmp_path / 'b.tif').pixel_size_um == pytest.approx(.65)

def test_same_pixels_same_bytes(tmp_path):
    for name in ('a', 'b'): write_stack(tmp_path / name / 'cells.ome.tif', noise, .65)
    assert (tmp_path / 'a/cells.ome.tif').read_bytes() == (tmp_path / 'b/cells.ome.tif').read_bytes()

def test_refused_to_write(tmp_path):
    path = tmp_path / 'cells.ome.tif'
    for pixels in (noise.astype('i8'), noise[None], noise[:, :0]):
        with pytest.raises(InputError, match=path.name): write_stack(path, pixels, .65)
    assert not list(tmp_path.iterdir())

@pytest.fixture
def dataset(tmp_path):
    "One spheroid of three slices, with one nucleus and one event each"
    stem = 's01_4Gy_sph1'
    write_stack(tmp_path / f'{stem}.ome.tif', noise, .65, 10)
    write_stack(tmp_path / f'{stem}_classes.ome.tif', np.zeros(noise.shape, np.uint8), .65, 10)
    rows = [dict(slice=f's01-4Gy-sph1-z{z}', spheroid_id=stem, sample=1, dose_gy=4, spheroid=1, z=z, image=f'{stem}.ome.tif', height_px=128, width_px=160, pixel_size_um=.65,
                 core_y_px=0, core_x_px=0, core_radius_px=20, n_intact_truth=1, n_apoptotic_truth=1, n_intact_acas=1, n_apoptotic_acas=1) for z in (1, 2, 3)]
    write_table(pd.DataFrame(rows), tmp_path / 'index.csv')
    for name in ('nuclei', 'events'): write_table(pd.DataFrame(dict(slice=[1, 2, 3], x_px=[9, 99, 159], y_px=[9, 99, 127], distance_um=50)), tmp_path / f'{stem}_acas_{name}.csv')
    return tmp_path

def test_dataset(dataset):
    index = load_index(dataset)
    for row in (*index.itertuples(), *(o for _, o in index.iterrows())):
        assert (read_slice(row) == noise[row.z - 1]).all() and not read_labels(row, 'classes').any()
        assert annotations(row)['label'].tolist() == [1, 2]

def test_index_names_a_missing_file(dataset):
    (dataset / 's01_4Gy_sph1.ome.tif').unlink()
    with pytest.raises(InputError, match='s01_4Gy_sph1.ome.tif') as e: load_index(dataset)
    assert 'index.csv' in str(e.value)

@pytest.mark.parametrize('change', [dict(z=None), dict(pixel_size_um=50), dict(height_px='tall'), dict(slice='s01-4Gy-sph1-z1')])
def test_index_with_a_wrong_value(dataset, change):
    index = pd.read_csv(dataset / 'index.csv')
    write_table(index.assign(**change), dataset / 'index.csv')
    with pytest.raises(InputError, match='index.csv'): load_index(dataset)

def test_index_missing_or_empty(dataset):
    write_table(pd.read_csv(dataset / 'index.csv').iloc[:0], dataset / 'index.csv')
    with pytest.raises(InputError, match='index.csv'): load_index(dataset)
    (dataset / 'index.csv').unlink()
    with pytest.raises(InputError, match='index.csv'): load_index(dataset)
    with pytest.raises(InputError, match='nowhere'): load_index(dataset / 'nowhere')

@pytest.mark.parametrize('point', [(128, 5), (-1, 5), (5, 160), (5, -3), (np.nan, 5)])
@pytest.mark.parametrize('name', ['nuclei', 'events'])
def test_annotation_outside_the_image(dataset, name, point):
    path = dataset / f's01_4Gy_sph1_acas_{name}.csv'
    write_table(pd.DataFrame(dict(slice=[1], x_px=point[1], y_px=point[0], distance_um=50)), path)
    first, second, _ = load_index(dataset).itertuples()
    with pytest.raises(InputError, match=path.name): annotations(first)
    annotations(second)

def test_image_of_another_size_than_the_index_says(dataset):
    write_stack(dataset / 's01_4Gy_sph1.ome.tif', noise[:, :100], .65)
    with pytest.raises(InputError, match='s01_4Gy_sph1.ome.tif'): read_slice(next(load_index(dataset).itertuples()))

def test_missing_tables_and_labels(dataset):
    row = next(load_index(dataset).itertuples())
    with pytest.raises(InputError, match='s01_4Gy_sph1_truth_nuclei.csv'): annotations(row, who='truth')
    with pytest.raises(InputError, match='s01_4Gy_sph1_instances.ome.tif'): read_labels(row, 'instances')

@pytest.mark.parametrize('extra', [['unspecified'], ['unspecified']*3, ['unassalpha']])
def test_samples_that_are_no_alpha(tmp_path, extra):
    "of several channels one is chosen; what says how opaque a pixel is, or holds one value, is none"
    image = np.random.default_rng(0).integers(0, 99, (20, 30, 1 + len(extra)), np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='minisblack', planarconfig='contig', extrasamples=extra)
    if extra == ['unassalpha']: assert (read_stack(tmp_path / 'a.tif').pixels[0] == image[..., 0]).all()
    else:
        with pytest.raises(InputError, match=f'has {image.shape[-1]} channels'): read_stack(tmp_path / 'a.tif')
        assert (read_stack(tmp_path / 'a.tif', channel=1).pixels[0] == image[..., 1]).all()
        tifffile.imwrite(tmp_path / 'b.tif', np.where(np.arange(image.shape[-1]), 255, image).astype(np.uint8), photometric='minisblack', planarconfig='contig', extrasamples=extra)
        assert (read_stack(tmp_path / 'b.tif').pixels[0] == image[..., 0]).all()

def test_names_with_a_colon():
    assert file_and_series('12.05: plate.tif') == ('12.05: plate.tif', None)
    assert file_and_series('day 1: ctrl.tif') == ('day 1: ctrl.tif', None) and file_and_series('day 1: ctrl.tif: time 2') == ('day 1: ctrl.tif', 'time 2')
    assert file_and_series('a.lif: Series 1: x') == ('a.lif', 'Series 1: x') and file_and_series('scan: time 1') == ('scan', 'time 1')
    assert without_time('a.lif: well B2, time 3') == 'a.lif: well B2' and without_time('a.tif: time 3') == 'a.tif' == without_time('a.tif')

def test_printers_resolution_in_an_imagej_file(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.zeros((9, 9), np.uint8), imagej=True, resolution=(300, 300), metadata=dict(unit='inch'))
    assert read_stack(tmp_path / 'a.tif').pixel_size_um is None

def test_distance_of_planes_in_a_printers_unit(tmp_path):
    "where the unit is not believed of the pixels, it is not of the planes"
    for unit in ('inch', 'um'): tifffile.imwrite(tmp_path / f'{unit}.tif', noise, imagej=True, resolution=(300, 300), metadata=dict(axes='ZYX', unit=unit, spacing=5.))
    assert read_stack(tmp_path / 'inch.tif', pixel_size_um=.65).z_step_um is None and read_stack(tmp_path / 'um.tif', pixel_size_um=.65).z_step_um == 5

@pytest.mark.parametrize('unit, um', [('micrometers', 1), ('Micrometre', 1), ('nanometers', 1e-3), ('millimeter', 1e3)])
def test_units_in_words(tmp_path, unit, um):
    tifffile.imwrite(tmp_path / 'a.tif', noise, imagej=True, resolution=(um/.65,)*2, metadata=dict(axes='ZYX', unit=unit))
    assert np.isclose(read_stack(tmp_path / 'a.tif').pixel_size_um, .65, rtol=1e-4)

def test_palettes(tmp_path):
    "numbers of colours are no grey values, unless ImageJ shows grey values in colours"
    light = noise[0].astype('u1')//16*16
    green = Image.fromarray(np.stack([0*light, light, 0*light], -1)).quantize(16)
    for ending in ('png', 'tif'): green.save(tmp_path / f'green.{ending}')
    png, tif = (read_stack(tmp_path / f'green.{ending}').pixels[0] for ending in ('png', 'tif'))
    assert (png == tif).all() and png.dtype == tif.dtype and np.corrcoef(tif.ravel(), light.ravel())[0, 1] > .99
    Image.fromarray(np.moveaxis(noise, 0, -1).astype('u1')).quantize(64).save(tmp_path / 'photograph.tif')
    with pytest.raises(InputError, match='photograph'): read_stack(tmp_path / 'photograph.tif')
    fire = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / 'lut.tif', light, photometric='palette', colormap=fire, description='ImageJ=1.54f\n')
    assert (read_stack(tmp_path / 'lut.tif').pixels[0] == light).all()

def test_long_names_leave_room_for_endings():
    stems = file_stems(['照射後'*26 + 'あ.tif', '照射後'*26 + 'い.tif', 'a'*240 + '.tif: Series 1', 'a'*240 + '.tif: Series 2', 'b.tif'])
    assert max(len(o.encode()) for o in stems.values()) < 160 and len(set(stems.values())) == 5 and stems['b.tif'] == 'b'
