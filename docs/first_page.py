"""The picture of the first page: what goes in, and what comes out. `python docs/first_page.py` draws docs/in_and_out.png from an analysis of a simulated spheroid."""
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

from apoptosis_nb.analysis import analyze_plane, load_method
from apoptosis_nb.plots import FOUND, figure, mark, show_image
from apoptosis_nb.rois import COLOURS
from apoptosis_nb.simulation import simulate_spheroid
from apoptosis_nb.spheroids import SpheroidId

UM, DARK = .65, '#333333'
FILES = ['images.csv, stacks.csv', 'events.csv, nuclei.csv', 'conditions.csv', 'overlays/, events/*.png', 'masks/, labels/*.ome.tif', 'rois/*.zip', 'geojson/*.geojson']
MEANING = ['counts and ratio of planes and stacks', 'where each one lies, in px; scores', 'what a treatment changes', 'to look at', 'for napari', 'for ImageJ', 'for QuPath']

def draw(
    planes, # (Z, Y, X), any number dtype
    found, # list of Counted, one a plane
    shown=0, # index of the plane that is shown
): # matplotlib Figure
    "A plane, what was found in it, and the tables"
    fig, axes = figure(1, 3, (13, 4.5), width_ratios=[4, 4, 4.6])
    show_image(axes[0], planes[shown], 'In: images of nuclear chromatin', UM)
    show_image(axes[1], planes[shown], 'Found: intact nuclei (blue), apoptotic events (green)', UM)
    for labels, colour in ((found[shown].nucleus_labels, COLOURS['nucleus']), (found[shown].event_labels, COLOURS['event'])):
        lines = find_boundaries(labels, mode='inner')
        axes[1].imshow(np.dstack([np.broadcast_to(np.divide(colour, 255), (*lines.shape, 3)), lines*1.]), interpolation='nearest')
    mark(axes[1], found[shown].events[['y_px', 'x_px']].to_numpy(float), 24/UM, FOUND, circles=True)
    axes[2].axis('off')
    axes[2].set_title('Out: tables, and files for other programs', fontsize=11)
    rows = [[z, o['n_intact'], o['n_apoptotic'], f"{o['apoptotic_ratio']:.3f}"] for z, o in enumerate((p.counts for p in found), 1)]
    table = axes[2].table(rows, colLabels=['plane', 'intact', 'apoptotic', 'ratio'], bbox=[.04, .66, .92, .32], cellLoc='center', edges='horizontal')
    table.auto_set_font_size(False)
    for cell in table.get_celld().values():
        cell.set_fontsize(11)
        cell.set_edgecolor('#bbbbbb')
    for i, (name, meaning) in enumerate(zip(FILES, MEANING)):
        y = .57 - .088*i
        axes[2].text(.04, y, name, family='monospace', fontsize=9.5, color=DARK, transform=axes[2].transAxes, va='center')
        axes[2].text(.5, y, meaning, fontsize=9.5, color=DARK, transform=axes[2].transAxes, va='center')
    return fig

if __name__ == '__main__':
    planes = simulate_spheroid(SpheroidId(1, 4, 1), seed=4, size_px=448, count_scale=.3).pixels
    network = load_method('both')
    drawn = BytesIO()
    draw(planes, [analyze_plane(o, UM, 'both', network) for o in planes]).savefig(drawn, dpi=110, facecolor='w')
    few = Image.open(drawn).convert('RGB').quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) # a third of the size
    few.save(Path(__file__).with_name('in_and_out.png'), optimize=True)
