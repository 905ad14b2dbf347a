"""Leica, Zeiss and Nikon files, made here byte by byte, as no small real file is free to be shipped

What is made is what liffile, czifile and nd2 look at: uncompressed pixels and the metadata that are read.
"""
import struct, sys

import numpy as np, pandas as pd, pytest, tifffile
from typer.testing import CliRunner

from apoptosis_nb.cli import app
from apoptosis_nb.core import InputError
from apoptosis_nb.images import list_series, read_plane, read_stack, write_stack

SIZE = 40, 60 # Y, X
CHANNELS = 'DAPI', 'H2B-eGFP'

def noise(n, *lengths): return np.random.default_rng(n).integers(0, 4000, (*lengths, *SIZE), np.uint16)

def _elements(names, arrays, um, step): # XML of Leica's images
    for number, (name, pixels) in enumerate(zip(names, arrays)):
        channels = ''.join(f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="12" NameOfMeasuredQuantity="" Min="0" Max="4095" Unit="" LUTName="Gray" IsLUTInverted="0" '
            f'BytesInc="{i * pixels.strides[2]}" BitInc="0"><ChannelProperty><Key>DyeName</Key><Value>{o}</Value></ChannelProperty></ChannelDescription>' for i, o in enumerate(CHANNELS))
        sides = [(1, 4, um), (2, 3, um), (3, 1, step), (4, 0, 60)] # x, y, z, t: number of the dimension, axis, size of a step
        dimensions = ''.join(f'<DimensionDescription DimID="{i}" NumberOfElements="{pixels.shape[a]}" Origin="0" Length="{(pixels.shape[a] - 1) * o * (1e-6 if i < 4 else 1)}" '
            f'Unit="{"m" if i < 4 else "s"}" BytesInc="{pixels.strides[a]}" BitInc="0"/>' for i, a, o in sides if pixels.shape[a] > 1)
        yield f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data><Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'

def write_lif(path, arrays, names, um=.65, step=2.): # arrays: (T, Z, C, Y, X)
    xml = f'<LMSDataContainerHeader Version="2"><Element Name="project"><Data/><Memory Size="0" MemoryBlockID="MemBlock_p"/><Children>{"".join(_elements(names, arrays, um, step))}</Children></Element></LMSDataContainerHeader>'
    head = xml.encode('utf-16-le')
    parts = [struct.pack('<IIBI', 0x70, len(head) + 5, 0x2a, len(head) // 2), head]
    for number, pixels in enumerate(arrays):
        name = f'MemBlock_{number}'.encode('utf-16-le')
        parts += [struct.pack('<IIBQBI', 0x70, len(name) + 14, 0x2a, pixels.nbytes, 0x2a, len(name) // 2), name, pixels.tobytes()]
    path.write_bytes(b''.join(parts))

def write_czi(path, arrays, names, um=.65, step=2., missing=None, compression=0): # arrays: (T, Z, C, Y, X), each a scene of two tiles, beside a smaller copy
    parts, entries, place = [], [], 544 # after the header
    def segment(name, data):
        nonlocal place
        data += bytes(-len(data) % 32)
        parts.append(struct.pack('<16sqq', name, len(data), len(data)) + data)
        at, place = place, place + len(parts[-1])
        return at
    def entry(at, start, size, stored, pyramid):
        sides = b''.join(struct.pack('<4siifi', a.encode(), start[a], size.get(a, 1), 0, stored.get(a, 1)) for a in start)
        return struct.pack('<2siqiiBB4si', b'DV', 1, at, 0, compression, pyramid, 0, bytes(4), len(start)) + sides
    def block(pixels, start, shown, pyramid=0):
        size, stored = dict(zip('YX', shown)), dict(zip('YX', pixels.shape))
        one = entry(place, start, size, stored, pyramid)
        segment(b'ZISRAWSUBBLOCK', struct.pack('<iiq', 0, 0, pixels.nbytes) + one.ljust(240, b'\0') + pixels.tobytes())
        entries.append(one)
    for s, pixels in enumerate(arrays):
        for t, z, c in np.ndindex(pixels.shape[:3]):
            if (t, z, c) == missing: continue
            start, half = dict(X=1000 * s - 7, Y=5, Z=z, C=c, T=t, S=s), SIZE[1] // 2
            block(np.full((SIZE[0], half + 3), 9, np.uint16), dict(start, M=0), (SIZE[0], half + 3)) # lies under the next one where they meet
            block(pixels[t, z, c][:, half:], dict(start, X=start['X'] + half, M=2), (SIZE[0], half))
            block(pixels[t, z, c][:, :half], dict(start, M=1), (SIZE[0], half))
            block(pixels[t, z, c][::2, ::2], dict(start, M=0), SIZE, pyramid=1)
    directory = segment(b'ZISRAWDIRECTORY', struct.pack('<i124x', len(entries)) + b''.join(entries))
    scenes = ''.join(f'<Scene Index="{i}" Name="{o}"/>' for i, o in enumerate(names))
    channels = ''.join(f'<Channel Id="Channel:{i}" Name="{o}"/>' for i, o in enumerate(CHANNELS))
    items = ''.join(f'<Distance Id="{a}"><Value>{o * 1e-6}</Value></Distance>' for a, o in zip('XYZ', (um, um, step)))
    xml = f'<ImageDocument><Metadata><Information><Image><Dimensions><Channels>{channels}</Channels><S><Scenes>{scenes}</Scenes></S></Dimensions></Image></Information><Scaling><Items>{items}</Items></Scaling></Metadata></ImageDocument>'
    about = segment(b'ZISRAWMETADATA', struct.pack('<ii248x', len(xml), 0) + xml.encode())
    head = struct.pack('<iiii16s16siqqiq', 1, 0, 0, 0, bytes(16), bytes(16), 0, directory, about, 0, 0).ljust(512, b'\0')
    path.write_bytes(struct.pack('<16sqq', b'ZISRAWFILE', 512, 512) + head + b''.join(parts))

def _lite(values): # Nikon's binary form of named values
    out = b''
    for name, value in values.items():
        kind = {bool: 1, int: 3, float: 6, str: 8, dict: 11}[type(value)]
        label = f'{name}\0'.encode('utf-16-le') if name else '\0'.encode('utf-16-le')
        start = struct.pack('BB', kind, len(label) // 2) + label
        if kind == 11:
            inner = _lite(value)
            out += start + struct.pack('<IQ', len(value), len(start) + 12 + len(inner)) + inner + bytes(8 * len(value))
        else: out += start + (f'{value}\0'.encode('utf-16-le') if kind == 8 else struct.pack({1: '<?', 3: '<I', 6: '<d'}[kind], value))
    return out

def write_nd2(path, arrays, names, um=.65, step=2., frames=None): # arrays: (T, Z, C, Y, X), each a position
    pixels = np.stack(arrays, 1) # T, P, Z, C, Y, X
    n_times, n_points, n_planes, n_channels = pixels.shape[:4]
    planes = {f'a{i}': dict(uiCompCount=1, uiSampleIndex=i, sDescription=o, uiColor=0, pFluorescentProbe=dict(m_sName=o)) for i, o in enumerate(CHANNELS)}
    loop = dict(eType=4, uLoopPars=dict(uiCount=n_planes, dZStep=step, dZLow=0., dZHigh=step * (n_planes - 1)))
    loop = dict(eType=2, uLoopPars=dict(uiCount=n_points, Points={f'p{i}': dict(dPosX=0., dPosY=0., dPosZ=0., dPFSOffset=0., dPosName=o) for i, o in enumerate(names)}), ppNextLevelEx=dict(n=loop))
    loop = dict(eType=1, uLoopPars=dict(uiCount=n_times, dStart=0., dPeriod=0., dDuration=0.), ppNextLevelEx=dict(n=loop))
    images = pixels.reshape(-1, n_channels, *SIZE)[:frames]
    chunks = {f'ImageDataSeq|{i}!': bytes(8) + np.ascontiguousarray(np.moveaxis(o, 0, -1)).tobytes() for i, o in enumerate(images)}
    chunks['ImageAttributesLV!'] = _lite(dict(SLxImageAttributes=dict(uiWidth=SIZE[1], uiWidthBytes=SIZE[1] * n_channels * 2, uiHeight=SIZE[0], uiComp=n_channels, uiBpcInMemory=16, uiBpcSignificant=12, uiSequenceCount=len(images), eCompression=2)))
    chunks['ImageMetadataSeqLV|0!'] = _lite(dict(SLxPictureMetadata=dict(bCalibrated=True, dCalibration=um, sPicturePlanes=dict(uiCount=n_channels, uiCompCount=n_channels, sPlaneNew=planes))))
    chunks['ImageMetadataLV!'] = _lite(dict(SLxExperiment=loop))
    def chunk(name, data, room): return struct.pack('<IIQ', 0x0abeceda, room, len(data)) + name.ljust(room, b'\0') + data
    out, places = chunk(b'ND2 FILE SIGNATURE CHUNK NAME01!', b'Ver3.0'.ljust(64, b'\0'), 32), b''
    for name, data in chunks.items():
        places += name.encode() + struct.pack('<QQ', len(out), len(data))
        out += chunk(name.encode(), data, 4072)
    end = b'ND2 CHUNK MAP SIGNATURE 0000001!' + struct.pack('<Q', len(out))
    path.write_bytes(out + chunk(b'ND2 FILEMAP SIGNATURE NAME 0001!', places + end, 32))

WRITERS = dict(lif=('liffile', write_lif), czi=('czifile', write_czi), nd2=('nd2', write_nd2))
NAMES = 'well A1', 'well A2', 'well A3'

@pytest.fixture(params=WRITERS)
def kind(request):
    pytest.importorskip(WRITERS[request.param][0])
    return request.param

@pytest.fixture
def make(kind, tmp_path):
    def make(arrays, names=NAMES, name='cells of 4 May', **more):
        WRITERS[kind][1](tmp_path / f'{name}.{kind}', arrays, names[:len(arrays)], **more)
        return tmp_path / f'{name}.{kind}'
    return make

def test_one_image(make):
    pixels = noise(0, 1, 3, 2)
    path = make([pixels])
    (one,) = list_series(path)
    assert one.name == '' and one.shape == (3, *SIZE) and one.channels == CHANNELS
    for channel, wanted in (0, 0), (1, 1), ('dapi', 0), ('H2B-EGFP', 1), ('1', 1):
        stack = read_stack(path, channel)
        assert stack.pixels.dtype == np.uint16 and (stack.pixels == pixels[0, :, wanted]).all()
        assert (read_plane(path, 2, channel) == pixels[0, 2, wanted]).all()
    assert stack.pixel_size_um == pytest.approx(.65) and stack.z_step_um == pytest.approx(2) and stack.name == path.name
    assert read_stack(path, 0, pixel_size_um=.3).pixel_size_um == .3
    for wrong in (None, 2, 'mCherry'):
        with pytest.raises(InputError, match='0 .DAPI., 1 .H2B-eGFP.') as e: read_stack(path, wrong)
        assert path.name in str(e.value)
    with pytest.raises(InputError, match='no plane 3'): read_plane(path, 3, 0)

def test_series_and_times(make):
    arrays = [noise(i, 2, 2, 2) for i in range(3)]
    path = make(arrays)
    listed = list_series(path)
    assert [o.name for o in listed] == [f'{o}, time {t}' for o in NAMES for t in (1, 2)]
    for i, one in enumerate(listed):
        assert one.shape == (2, *SIZE)
        for series in (i, one.name.upper()): assert (read_stack(path, 1, series=series).pixels == arrays[i // 2][i % 2, :, 1]).all()
    assert read_stack(path, 1, series=5).name == f'{path.name}: well A3, time 2'
    for wrong in (None, 6, 'well A1'):
        with pytest.raises(InputError, match=r'0 \(well A1, time 1\)') as e: read_stack(path, 1, series=wrong)
        assert path.name in str(e.value) and 'series=' in str(e.value)

@pytest.mark.parametrize('share', [0, .0001, .02, .3, .6, .95, .999])
def test_truncated(make, share):
    "what is cut off is missed, and nothing is read as black"
    arrays = [noise(i, 1, 2, 2) for i in range(2)]
    path = make(arrays)
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(InputError, match=path.name):
        for i in range(2): assert (read_stack(path, 0, series=i).pixels == arrays[i][0, :, 0]).all()

def test_a_wrong_pixel_size(make):
    path = make([noise(0, 1, 1, 2)], um=50)
    with pytest.raises(InputError, match='not plausible'): read_stack(path, 0)
    assert read_stack(path, 0, pixel_size_um=.5).pixel_size_um == .5

def test_without_its_package(make, kind, monkeypatch):
    "the message says what to install"
    path = make([noise(0, 1, 1, 2)])
    monkeypatch.setitem(sys.modules, WRITERS[kind][0], None)
    with pytest.raises(InputError, match=path.name) as e: read_stack(path, 0)
    assert f"pip install 'apoptosis_nb[{kind}]'" in str(e.value)

def test_a_stopped_recording(tmp_path):
    "planes that were never recorded are not black ones"
    arrays = [noise(i, 1, 3, 2) for i in range(2)]
    pytest.importorskip('nd2')
    write_nd2(tmp_path / 'a.nd2', arrays, NAMES[:2], frames=5)
    assert (read_stack(tmp_path / 'a.nd2', 0, series=0).pixels == arrays[0][0, :, 0]).all()
    with pytest.raises(InputError, match='a.nd2: well A2: lacks planes'): read_stack(tmp_path / 'a.nd2', 0, series=1)
    pytest.importorskip('czifile')
    write_czi(tmp_path / 'a.czi', arrays, NAMES[:2], missing=(0, 1, 0))
    with pytest.raises(InputError, match='a.czi: well A1: lacks planes'): read_stack(tmp_path / 'a.czi', 0, series=0)
    assert (read_stack(tmp_path / 'a.czi', 1, series=0).pixels == arrays[0][0, :, 1]).all()

def test_a_compression_that_is_not_known(tmp_path):
    pytest.importorskip('czifile')
    write_czi(tmp_path / 'a.czi', [noise(0, 1, 1, 2)], NAMES[:1], compression=77)
    assert list_series(tmp_path / 'a.czi')[0].shape == (1, *SIZE)
    with pytest.raises(InputError, match='a.czi.*export it as OME-TIFF'): read_stack(tmp_path / 'a.czi', 0)

def cells(*lengths):
    "Discs of 12 um on noise"
    y, x = np.mgrid[:SIZE[0], :SIZE[1]] % 30 - 15
    return (np.random.default_rng(0).normal(100, 5, (*lengths, *SIZE)) + 1000 * (y**2 + x**2 < 60)).astype(np.uint16)

def analyze(tmp_path, *words):
    done = CliRunner().invoke(app, ['analyze', *map(str, words), '--method', 'acas', '--out', str(tmp_path / 'out')])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done, pd.read_csv(tmp_path / 'out/images.csv')

def test_every_series_is_analysed(make, kind, tmp_path):
    path = make([cells(1, 1, 2), cells(1, 1, 2)], names=['well A1/a', 'well A1:a'], name='plate')
    write_stack(tmp_path / 'plate_well_A1_a.ome.tif', cells(2), .65, axes='CYX')
    done, images = analyze(tmp_path, path, tmp_path / 'plate_well_A1_a.ome.tif', '--channel', '1')
    assert done.exit_code == 0, done.output
    assert images.image.tolist() == [f'plate.{kind}: well A1/a', f'plate.{kind}: well A1:a', 'plate_well_A1_a.ome.tif'] and images.pixel_size_um.round(4).eq(.65).all()
    masks = sorted(o.name for o in (tmp_path / 'out/masks').iterdir())
    assert masks == ['plate_well_A1_a.ome.tif', 'plate_well_A1_a_2.ome.tif', 'plate_well_A1_a_3.ome.tif'], 'no file in another one\'s place'

def test_a_broken_series(tmp_path):
    "is a row with its error, and the others are analysed"
    pytest.importorskip('liffile')
    write_lif(tmp_path / 'a.lif', [cells(1, 1, 2)] * 2, NAMES[:2])
    (tmp_path / 'a.lif').write_bytes((tmp_path / 'a.lif').read_bytes()[:-2000])
    done, images = analyze(tmp_path, tmp_path / 'a.lif', '--channel', 'h2b-egfp')
    assert done.exit_code == 1 and images.image.tolist() == ['a.lif: well A1', 'a.lif: well A2']
    assert images.error.isna().tolist() == [True, False] and 'a.lif: well A2: ' in images.error[1] and images.error[1] in done.output and 'truncated' in images.error[1]

def test_a_folder_as_it_comes(tmp_path):
    "one file is corrupt, one empty, one RGB, one has NaN, one 1 x 1 px, one no channel of this name: the others are right, and the status is not 0"
    folder = tmp_path / 'in'
    for i in range(6): write_stack(folder / f'good {i}.ome.tif', cells(), .65)
    (folder / 'corrupt.tif').write_bytes((folder / 'good 0.ome.tif').read_bytes()[:1500])
    (folder / 'empty.lif').touch()
    tifffile.imwrite(folder / 'rgb.tif', np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8), photometric='rgb')
    tifffile.imwrite(folder / 'nan.tif', np.where(cells() > 1000, np.nan, cells()).astype('f4'))
    write_stack(folder / 'tiny.ome.tif', np.ones((1, 1), np.uint16), .65)
    (folder / 'text.czi').write_text('no image')
    (folder / 'notes.txt').write_text('not an image, and not meant as one')
    done, images = analyze(tmp_path, folder)
    assert done.exit_code == 1 and 'Traceback' not in done.output
    errors = images.set_index('image').error.dropna()
    assert errors.index.tolist() == ['corrupt.tif', 'empty.lif', 'nan.tif', 'rgb.tif', 'text.czi', 'tiny.ome.tif']
    for name, words in dict(zip(errors.index, ['truncated', 'empty', 'NaN', 'RGB', 'damaged', 'less than a nucleus'])).items(): assert name in errors[name] and words in errors[name] and errors[name] in done.output
    good = images[images.image.str.startswith('good')]
    assert len(good) == 6 and good.n_intact.nunique() == 1 and good.n_intact.gt(0).all()

def test_images_called_by_numbers(tmp_path):
    "a name is a name, though it looks like a number"
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif', ome=True) as tif:
        for i in range(3): tif.write(np.full((8, 8), 10*i, np.uint8), photometric='minisblack', metadata=dict(axes='YX', Name=str(i + 1)))
    assert [o.name for o in list_series(tmp_path / 'a.ome.tif')] == ['1', '2', '3']
    assert [int(read_stack(tmp_path / 'a.ome.tif', series=o).pixels.max()) for o in ('1', '2', '3', 0, 1)] == [0, 10, 20, 0, 10]

def test_planes_in_several_files(tmp_path):
    "the longer file does not make the shorter one seem truncated"
    random = np.random.default_rng(0)
    planes = [np.zeros((64, 64), np.uint16), random.integers(0, 60000, (64, 64)).astype(np.uint16)]
    names = [tmp_path / f'p{i}.ome.tif' for i in (0, 1)]
    pieces = ''.join(f'<TiffData IFD="0" FirstZ="{i}" PlaneCount="1"><UUID FileName="{o.name}">urn:uuid:00000000-0000-0000-0000-00000000000{i}</UUID></TiffData>' for i, o in enumerate(names))
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="64" SizeY="64" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{pieces}</Pixels>'
    for i, (name, plane) in enumerate(zip(names, planes)):
        header = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:00000000-0000-0000-0000-00000000000{i}"><Image ID="Image:0" Name="a">{pixels}</Image></OME>'
        tifffile.imwrite(name, plane, description=header, metadata=None, compression='zlib')
    for name in names: assert np.array_equal(read_stack(name).pixels, planes), name

def test_pyramids_count_once(tmp_path):
    "and so do previews"
    pixels = noise(0, 2)
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif', ome=True) as tif:
        tif.write(pixels, subifds=1, photometric='minisblack', metadata=dict(axes='CYX'))
        tif.write(pixels[:, ::2, ::2], subfiletype=1, photometric='minisblack')
    with tifffile.TiffWriter(tmp_path / 'b.tif') as tif:
        tif.write(pixels[0], metadata=None)
        tif.write(pixels[0, ::3, ::3], subfiletype=1, metadata=None)
    assert [len(list_series(tmp_path / o)) for o in ('a.ome.tif', 'b.tif')] == [1, 1]
    assert (read_stack(tmp_path / 'a.ome.tif', 1).pixels == pixels[1:]).all() and (read_stack(tmp_path / 'b.tif').pixels == pixels[:1]).all()

def test_ome_images_of_their_own_sizes(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif', ome=True) as tif:
        for i, um in enumerate((.3, .65)): tif.write(noise(i, 2), photometric='minisblack', metadata=dict(axes='CYX', PhysicalSizeX=um, PhysicalSizeY=um, Channel=dict(Name=['red', f'green {i}'])))
    for i, um in enumerate((.3, .65)):
        stack = read_stack(tmp_path / 'a.ome.tif', f'green {i}', series=i)
        assert stack.pixel_size_um == um and (stack.pixels == noise(i, 2)[1:]).all()
        with pytest.raises(InputError, match=f'green {1 - i}'): read_stack(tmp_path / 'a.ome.tif', f'green {1 - i}', series=i)

def test_images_of_one_name(make):
    "as two acquisitions may have that were called alike: none is lost"
    arrays = [noise(i, 1, 1, 2) for i in range(3)]
    path = make(arrays, ('Series001', 'Series001', 'Series002'))
    assert [o.name for o in list_series(path)] == ['Series001 (1)', 'Series001 (2)', 'Series002']
    for i in range(3): assert (read_stack(path, 0, series=i).pixels[0] == arrays[i][0, 0, 0]).all()
