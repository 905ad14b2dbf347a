"""How fast, as ratios of two ways of doing the same in one run: `make bench`

Seconds depend on the machine and on what else it does; ratios hardly do. Nothing here is a test.
"""
import resource, time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from apoptosis_nb.classifier import Classifier, build_classifier, load_classifier
from apoptosis_nb.counting import count_image
from apoptosis_nb.networks import packaged_networks
from apoptosis_nb.scanning import scan, window_corners, windows_to_events
from apoptosis_nb.simulation import simulate_spheroid
from apoptosis_nb.spheroids import SpheroidId
from apoptosis_nb.unet import Segmenter, build_unet, load_segmenter

def seconds(work, times=2):
    "The fastest of several runs, after one that warms up; and what it returned"
    result, best = work(), np.inf
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - began)
    return best, result

def compare(what, one, other, names, factor=1.):
    a, b = seconds(one)[0]*factor, seconds(other)[0]
    print(f'{what}: {names[0]} {a:.2f} s, {names[1]} {b:.2f} s, ratio {a/b:.1f}')

def slice_of(size_px): return simulate_spheroid(SpheroidId(1, 0, 1), seed=0, size_px=size_px, count_scale=(size_px/2000)**2).pixels[0]

def window_classifier():
    image = slice_of(1800)
    classifier = load_classifier('window_64') if 'window_64' in packaged_networks() else Classifier(build_classifier(64))
    print(f'64 px windows, stride 32, {image.shape[0]} px, scan and grouping: {seconds(lambda: windows_to_events(scan(image, classifier), .5))[0]:.2f} s')
    compare('windows without chromatin', lambda: scan(image, classifier, dark=None), lambda: scan(image, classifier), ('asked about', 'skipped'))
    corners = window_corners(image.shape, 64, 32)
    few = corners[::len(corners)//100]
    windows = sliding_window_view(image/np.float32(image.max()), (64, 64))[tuple(few.T)]
    compare(f'{len(corners)} windows', lambda: [classifier.model.predict(o[None, ..., None], verbose=0) for o in windows],
            lambda: scan(image, classifier, dark=None), ('one predict each (from 100)', 'in batches'), len(corners)/len(few))

def unet():
    image = slice_of(2048)
    segmenter = load_segmenter('unet') if 'unet' in packaged_networks() else Segmenter(build_unet())
    print(f'UNet, {image.shape[0]} px, prediction and counting: {seconds(lambda: count_image(image, segmenter))[0]:.2f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20:.2f} GiB at the most in this process')
    compare('UNet in tiles', lambda: segmenter.probabilities(image, 640), lambda: segmenter.probabilities(image), ('of 640 px', 'as large as memory allows'))

if __name__ == '__main__':
    unet()
    window_classifier()
