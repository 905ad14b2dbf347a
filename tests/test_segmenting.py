"Images that are no pleasure: black, saturated, nearly empty, small, of odd size; and masks that do not fit"
import keras, numpy as np, pytest

from apoptosis_nb.core import InputError
from apoptosis_nb.counting import count_mask
from apoptosis_nb.instances import class_iou
from apoptosis_nb.networks import with_policy
from apoptosis_nb.tiles import TileBatches, TileSet
from apoptosis_nb.unet import Segmenter, build_unet, tile_sides, train_unet

@pytest.fixture(scope='module')
def segmenter():
    "A UNet of random weights: what it finds is noise, the same noise every time"
    import keras
    keras.utils.set_random_seed(3)
    return Segmenter(build_unet(2, 2))

def disc(shape, radius=11, dtype=np.uint16):
    y, x = np.indices(shape)
    return ((np.hypot(y - shape[0]//2, x - shape[1]//2) <= radius)*3000).astype(dtype)

@pytest.mark.parametrize('shape', [(1, 1), (5, 7), (37, 53), (64, 64), (131, 250)])
def test_any_size(segmenter, shape):
    probability = segmenter.probabilities(np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16))
    assert probability.shape == (*shape, 3) and np.allclose(probability.sum(-1), 1, atol=1e-5)

@pytest.mark.parametrize('tile_px', [100, 144, 200, 333])
def test_the_tiling_changes_nothing(segmenter, tile_px):
    image = np.random.default_rng(1).integers(0, 4000, (350, 511)).astype(np.uint16)
    assert np.array_equal(segmenter.predict(image, tile_px), segmenter.predict(image, 4096))

def test_tiles_that_are_all_halo_are_refused(segmenter):
    with pytest.raises(InputError, match='take at least'): segmenter.predict(np.zeros((400, 400)), 2*segmenter.halo_px)

def test_tiles_are_few_and_fit():
    "A 2048 px square is two strips, not nine squares"
    assert sorted(tile_sides((2048, 2048), 1536**2, 128, 16)) == [1152, 2048]
    for shape in [(1024, 1024), (5008, 9008), (272, 3008)]:
        height, width = tile_sides(shape, 1536**2, 128, 16)
        assert height*width <= 1536**2 and not height % 16 and not width % 16

@pytest.mark.parametrize('value', [0, 65535])
def test_one_grey_value_holds_nothing(value):
    from apoptosis_nb.acas import annotate
    counted = annotate(np.full((80, 90), value, np.uint16), .65)
    assert counted.counts['n_intact'] == counted.counts['n_apoptotic'] == 0 and np.isnan(counted.counts['apoptotic_ratio'])

def test_an_empty_mask_has_no_ratio():
    counted = count_mask(np.zeros((40, 50), np.uint8), .65)
    assert counted.counts['n_intact'] == 0 and np.isnan(counted.counts['apoptotic_ratio'])

def test_one_nucleus():
    assert count_mask((disc((61, 71)) > 0).astype(np.uint8), .65).counts == dict(n_intact=1, n_apoptotic=0, apoptotic_ratio=0.)

def test_masks_that_do_not_fit():
    with pytest.raises(InputError, match='same image'): class_iou(np.zeros((4, 5), int), np.zeros((5, 4), int))
    with pytest.raises(InputError, match='both must be'): TileBatches(np.zeros((2, 16, 16)), np.zeros((2, 16, 17), np.uint8))
    with pytest.raises(InputError, match='probabilities of'): count_mask(np.zeros((4, 5), np.uint8), .65, probability=np.zeros((5, 4)))
    with pytest.raises(InputError, match='values from'): count_mask(np.full((4, 5), 3), .65)

@pytest.mark.parametrize('image, message', [(np.zeros((3, 4, 5)), 'plane'), (np.full((9, 9), np.nan), 'NaN'), (np.zeros((0, 4)), 'no pixels')])
def test_what_is_no_plane_is_refused(segmenter, image, message):
    with pytest.raises(InputError, match=message): segmenter.predict(image)

def test_mixed_precision(monkeypatch):
    "a network that is given is trained in the precision that is asked for, float16 with a scaled loss, and kept in float32"
    import apoptosis_nb.unet
    model, shown = build_unet(2, 2), np.random.default_rng(0).random((1, 16, 16, 1)).astype('f4')
    same = with_policy(model, 'float32')
    half = with_policy(model, 'mixed_float16')
    assert same is model and {o.compute_dtype for o in half.layers[1:-1]} == {'float16'} and half.layers[-1].compute_dtype == 'float32'
    back = with_policy(half, 'float32')
    assert (model.predict_on_batch(shown) == back.predict_on_batch(shown)).all()
    masks = np.arange(256).reshape(1, 16, 16).repeat(2, 0) % 3
    tiles = {name: TileSet(np.full((2, 16, 16), 99, np.uint8), masks.astype(np.uint8), np.array([name]*2)) for name in ('a', 'b')}
    seen = []
    class Stop(Exception): pass
    def stop(model, *words, **how): seen.append(model.optimizer); raise Stop
    monkeypatch.setattr(apoptosis_nb.unet, 'worth_compiling', lambda: 'auto') # as on a GPU
    monkeypatch.setattr(apoptosis_nb.unet, 'train_network', stop)
    for mixed in (True, False):
        with pytest.raises(Stop): train_unet(tiles['a'], tiles['b'], 'nowhere', model, mixed=mixed)
    assert [isinstance(o, keras.optimizers.LossScaleOptimizer) for o in seen] == [True, False] and keras.config.dtype_policy().name == 'float32'
