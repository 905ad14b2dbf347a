"""How fast, how much memory, and how near the machine's limit, in one run: `make bench`

What is compared runs in one process, by turns, the best of several rounds. Sizes run in a process of their own each, whose greatest memory is
read at its end. Seconds depend on the machine; ratios hardly do. Images are simulated; 4096 and 8192 px are made of copies of 2048 px,
smaller ones are its middle. Nothing here is a test.
"""
import json, os, platform, resource, subprocess, sys, time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np, pandas as pd, typer

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
ROOT = Path(__file__).parents[1]
OTHERS = dict(stardist='pip install stardist tf_keras', cellpose="pip install 'cellpose<4'")
PARTS = 'windows', 'strides', 'unet', 'others', 'start', 'sizes'
CLASSIFIER, SEGMENTER = 'window_64_simulated', 'unet_simulated'

def image_of(
    size_px, # int
): # uint16 (size_px, size_px)
    from apoptosis_nb.simulation import simulate_spheroid
    from apoptosis_nb.spheroids import SpheroidId
    made = 1800 if size_px == 1800 else 2048
    image = simulate_spheroid(SpheroidId(1, 0, 1), seed=0, size_px=made, count_scale=(made/2000)**2).pixels[0]
    if size_px > made: image = np.tile(image, (-(-size_px//made),)*2)
    at = (len(image) - size_px)//2 if size_px < made else 0
    return np.ascontiguousarray(image[at:at + size_px, at:at + size_px])

def timed(
    works, # dict name -> function
    times, # rounds, after one that warms up; 0: that one alone, whose start hardly counts where it takes long
): # pd.DataFrame indexed by name: seconds, cpu_seconds of the fastest round, result
    "Several ways, by turns"
    rows = {}
    for turn in range(times + 1):
        for name, work in works.items():
            began, cpu = time.perf_counter(), time.process_time()
            result = work()
            now = time.perf_counter() - began, time.process_time() - cpu
            if turn or not times: rows[name] = (*np.minimum(now, rows[name][:2]), result) if name in rows else (*now, result)
    return pd.DataFrame(rows, ['seconds', 'cpu_seconds', 'result']).T

def multiply_adds(
    model, # keras.Model
    side_px, # of one image
): # int, of its convolutions and dense layers
    import keras
    total, sized = 0, keras.models.clone_model(model, keras.Input((side_px, side_px, 1)))
    for o in sized.layers:
        if not hasattr(o, 'kernel'): continue
        places = (o.input if isinstance(o, keras.layers.Conv2DTranspose) else o.output).shape[1:-1]
        total += int(np.prod(places))*int(np.prod(o.kernel.shape))
    return total

def product(n=2048): # function that multiplies two matrices, and its multiply-adds
    import keras
    one = keras.ops.convert_to_tensor(np.random.default_rng(0).random((n, n), np.float32))
    return lambda: keras.ops.convert_to_numpy(keras.ops.matmul(one, one)), n**3

def rows_of(part, found, each, unit, arithmetic=None, **about): # list of dict
    "What was timed as rows of the table; arithmetic: name -> multiply-adds, from which follows the share of the matrix product's rate"
    rows = []
    for name, o in found.iterrows():
        row = dict(part=part, what=name, **about, seconds=o.seconds, cpu_seconds=o.cpu_seconds, rate=each.get(name, np.nan)/o.seconds, unit=unit)
        for clock in ('seconds', 'cpu_seconds'):
            if arithmetic and name in arithmetic:
                row[f'{"cpu_" if clock[0] == "c" else ""}share'] = arithmetic[name]/o[clock]/(arithmetic['matrix product']/found[clock]['matrix product'])
        rows.append(row)
    return rows

def windows(size_px, times): # list of dict
    "The window classifier against plain Keras, one predict a window, and the matrix product"
    from numpy.lib.stride_tricks import sliding_window_view
    from apoptosis_nb.classifier import load_classifier
    from apoptosis_nb.evaluation import match_events
    from apoptosis_nb.preprocessing import preprocess
    from apoptosis_nb.scanning import detect, scan, window_corners, windows_to_events
    image, classifier = image_of(size_px), load_classifier(CLASSIFIER)
    corners, (multiply, macs) = window_corners(image.shape, 64, 32), product()
    def cut(which): return sliding_window_view(preprocess(image), (64, 64))[tuple(which.T)][..., None]
    few = corners[::max(1, len(corners)//100)]
    def one_each():
        for o in cut(few): classifier.model.predict(o[None], verbose=0)
    found = timed({'matrix product': multiply, 'exact 64/32': lambda: scan(image, classifier), 'exact 64/32, every window': lambda: scan(image, classifier, dark=None),
        'plain Keras predict': lambda: classifier.model.predict(cut(corners), verbose=0)[:, 0], 'one predict a window': one_each,
        'exact 64/16': lambda: scan(image, classifier, 16), 'dense 64/32': lambda: scan(image, classifier, 32, dense=True), 'dense 64/16': lambda: scan(image, classifier, 16, dense=True)}, times)
    found.loc['one predict a window', ['seconds', 'cpu_seconds']] *= len(corners)/len(few)
    n = {o: len(found.result[o]) for o in found.index if o != 'one predict a window'} | {'one predict a window': len(corners), 'matrix product': np.nan}
    rows = rows_of('windows', found, n, 'windows/s', {'matrix product': macs, **dict.fromkeys(('exact 64/32, every window', 'plain Keras predict'), len(corners)*multiply_adds(classifier.model, 64))}, size_px=size_px)
    plain = found.result['exact 64/32, every window'].assign(probability=found.result['plain Keras predict'])
    grouped = lambda table: windows_to_events(table, classifier.threshold)
    for ours, reference, events in (('exact 64/32', 'plain Keras predict', [grouped(found.result['exact 64/32']), grouped(plain)]),
                                    ('dense 64/16', 'exact 64/16', [detect(image, classifier, 16, dense=dense) for dense in (True, False)])):
        one, other = (o[['y_px', 'x_px']].to_numpy() for o in events)
        _, more, fewer = match_events(one, other, 2)
        rows.append(dict(part='windows', what=f'{ours}: events that differ from those of {reference}', size_px=size_px, rate=(len(more) + len(fewer))/max(1, len(other)), unit=f'of {len(other)}'))
    return rows

def strides(size_px, times, strides_px): # list of dict
    from apoptosis_nb.classifier import load_classifier
    from apoptosis_nb.scanning import scan
    image, classifier = image_of(size_px), load_classifier(CLASSIFIER)
    rows = []
    for stride in strides_px:
        found = timed({o: lambda o=o: scan(image, classifier, stride, dense=o == 'dense') for o in ('exact', 'dense')}, times)
        rows += rows_of('strides', found, {o: len(found.result[o]) for o in found.index}, 'windows/s', size_px=size_px, stride_px=stride)
    return rows

def unet(size_px, times): # list of dict
    "The UNet against plain Keras and the matrix product"
    from apoptosis_nb.counting import count_image
    from apoptosis_nb.unet import load_segmenter
    image, segmenter, once = image_of(size_px), load_segmenter(SEGMENTER), load_segmenter(SEGMENTER)
    once.second_look, (multiply, macs) = False, product()
    light = segmenter._prepared(image, None)
    found = timed({'matrix product': multiply, 'UNet in tiles': lambda: once.segment(image), 'plain Keras predict': lambda: once.model.predict(light[None, ..., None], verbose=0),
                   'UNet, second look and counting': lambda: count_image(image, segmenter)}, times)
    pixels = dict.fromkeys(found.index.drop('matrix product'), size_px**2/1e6)
    return rows_of('unet', found, pixels, 'Mpx/s', {'matrix product': macs, **dict.fromkeys(('UNet in tiles', 'plain Keras predict'), multiply_adds(once.model, size_px))}, size_px=size_px)

def others(size_px, times): # list of dict
    "The networks of other programs, of random weights, on the same image"
    from apoptosis_nb.counting import count_image
    from apoptosis_nb.unet import load_segmenter
    image, segmenter, works = image_of(size_px), load_segmenter(SEGMENTER), {}
    x = segmenter._prepared(image, None)[None, ..., None]
    if find_spec('stardist'):
        from stardist.models import Config2D, StarDist2D
        stardist = StarDist2D(Config2D(n_rays=32, grid=(2, 2)), name=None, basedir=None).keras_model # the size of its 2D_versatile_fluo
        works["StarDist's network"] = lambda: stardist.predict(x, verbose=0)
    if find_spec('cellpose'):
        import torch
        from cellpose.resnet_torch import CPnet # of cellpose 3: its 4 is a transformer, larger still
        torch.set_num_threads(cores_here())
        cellpose, given = CPnet([2, 32, 64, 128, 256], 3, 3).eval(), torch.from_numpy(np.repeat(x.transpose(0, 3, 1, 2), 2, 1))
        def see():
            with torch.no_grad(): return cellpose(given)[0]
        works["Cellpose's network"] = see
    if works: works['UNet, second look and counting'] = lambda: count_image(image, segmenter)
    found = timed(works, times)
    return rows_of('others', found, dict.fromkeys(found.index, size_px**2/1e6), 'Mpx/s', size_px=size_px) if works else []

def size(size_px, times, what): # list of dict
    "One method on one size, in a process of its own"
    from apoptosis_nb.classifier import load_classifier
    from apoptosis_nb.counting import count_image
    from apoptosis_nb.scanning import detect
    from apoptosis_nb.unet import load_segmenter
    image = image_of(size_px)
    if what == 'UNet and counting': network, work = load_segmenter(SEGMENTER), lambda: count_image(image, network)[0].counts
    else:
        network, (kind, stride) = load_classifier(CLASSIFIER), what.split(' 64/')
        work = lambda: len(detect(image, network, int(stride), dense=kind == 'dense'))
    if not times: # what only the first call does must not count
        whole, image = image, image[:1024, :1024]
        work()
        image = whole
    found = timed({what: work}, times)
    return rows_of('sizes', found, {what: size_px**2/1e6}, 'Mpx/s', size_px=size_px)

def start(size_px): # list of dict
    "The command line, from its start to its end"
    import tempfile, tifffile
    rows, program = [], [sys.executable, '-c', 'from apoptosis_nb.cli import app; app()'] # what the command apoptosis-nb does
    with tempfile.TemporaryDirectory() as folder:
        tifffile.imwrite(f'{folder}/image.tif', image_of(size_px))
        for what, words in (('apoptosis-nb --help', ['--help']), (f'apoptosis-nb analyze, {size_px} px', ['analyze', f'{folder}/image.tif', '--out', f'{folder}/out', '--overwrite', '--pixel-size', '.65'])):
            runs = []
            for _ in range(2):
                before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run([*program, *words], check=True, capture_output=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                runs.append((time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
            seconds, cpu_seconds = np.min(runs, axis=0)
            rows.append(dict(part='start', what=what, size_px=size_px if 'px' in what else np.nan, seconds=seconds, cpu_seconds=cpu_seconds))
    return rows

def goals(table, clock, size_px, unet_px): # pd.DataFrame goal, wanted, measured, met
    "What issue and README promise, from the table"
    at = lambda part, what, **more: table[(table.part == part) & (table.what == what) & np.logical_and.reduce([table[k] == v for k, v in more.items()] or [True])]
    def value(column, part, what, **more):
        found = at(part, what, **more)
        return found[column].iloc[0] if len(found) and column in found else np.nan
    def ratio(part, one, other): return value(clock, part, one)/value(clock, part, other)
    share, rows = 'cpu_share' if clock == 'cpu_seconds' else 'share', []
    def add(goal, wanted, sign, measured): rows.append(dict(goal=goal, wanted=f'{sign} {wanted:g}', measured=measured, met=np.nan if np.isnan(measured) else bool(measured >= wanted if sign == '>=' else measured <= wanted)))
    add(f'{size_px} px, exact 64/32: times faster than plain Keras predict', 2.5, '>=', ratio('windows', 'plain Keras predict', 'exact 64/32'))
    add('the same, events that differ', 0, '<=', value('rate', 'windows', 'exact 64/32: events that differ from those of plain Keras predict'))
    add('the same, times faster than one predict a window', 250, '>=', ratio('windows', 'one predict a window', 'exact 64/32'))
    add('dense 64/16: time in that of exact 64/32', 1, '<=', ratio('windows', 'dense 64/16', 'exact 64/32'))
    add('dense 64/16: events that differ from exact 64/16', .02, '<=', value('rate', 'windows', 'dense 64/16: events that differ from those of exact 64/16'))
    add('dense: time at stride 16 in that at stride 32', 1.2, '<=', ratio('windows', 'dense 64/16', 'dense 64/32'))
    add(f'UNet, {unet_px} px: times faster than plain Keras predict', 1.8, '>=', ratio('unet', 'plain Keras predict', 'UNet in tiles'))
    add("share of the matrix product's rate, classifier", .5, '>=', value(share, 'windows', 'exact 64/32, every window'))
    add("share of the matrix product's rate, UNet", .5, '>=', value(share, 'unet', 'UNet in tiles'))
    add("UNet and counting: times faster than StarDist's network", 3, '>=', ratio('others', "StarDist's network", 'UNet, second look and counting'))
    for what in table[table.part == 'sizes'].what.unique():
        sizes = table[(table.part == 'sizes') & (table.what == what)].set_index('size_px')
        if 8192 in sizes.index:
            add(f'{what}, 8192 px: GiB at the most', 3, '<=', sizes.peak_gib[8192])
            if 2048 in sizes.index: add(f'{what}: seconds a pixel at 8192 px in those at 2048 px', 1.15, '<=', sizes[clock][8192]/sizes[clock][2048]/16)
    for what, most in (('apoptosis-nb --help', 1), ('apoptosis-nb analyze, 512 px', 8)): add(f'{what}: seconds', most, '<=', value(clock, 'start', what))
    return pd.DataFrame(rows)

def draw(table, clock): # matplotlib Figure
    from apoptosis_nb.plots import figure
    fig, (left, right) = figure(1, 2, size=(9, 3.6))
    for ax, part, x, label in ((left, 'sizes', 'size_px', 'side of the image, px'), (right, 'strides', 'stride_px', 'stride, px')):
        rows = table[table.part == part] if x in table else table[:0] # a piece of the bench may lack the part
        for what, o in rows.groupby('what', sort=False): ax.plot(o[x], o[clock], 'o-', label=what)
        ax.set(xscale='log', yscale='log', xlabel=label, ylabel='seconds' if clock == 'seconds' else 'CPU seconds')
        ticks = sorted(rows[x].unique()) if len(rows) else []
        ax.set_xticks(ticks, [f'{o:g}' for o in ticks], minor=False)
        ax.minorticks_off()
        if ticks: ax.legend(frameon=False)
    return fig

def cores_here(): return int(os.environ.get('APOPTOSIS_NB_BENCH_CORES', 0)) or os.cpu_count()

def alone(what, *arguments): # list of dict, of a process of its own, with its greatest memory
    done = subprocess.run([sys.executable, __file__, '--only', json.dumps([what, *arguments])], capture_output=True, text=True)
    if done.returncode: raise SystemExit(f'{what} {arguments}: {done.stderr[-3000:]}')
    return json.loads(done.stdout.splitlines()[-1])

def bench(
    out: Annotated[Path, typer.Option(help='Folder for the table, the goals, the figure and the machine.')] = ROOT/'docs/reference/bench',
    parts: Annotated[str, typer.Option(help='What to run, with commas.')] = ','.join(PARTS),
    size_px: Annotated[int, typer.Option(help='Image of the comparison of windows, and of strides.')] = 1800,
    unet_px: Annotated[int, typer.Option(help='Image of the comparison of UNets.')] = 2048,
    sizes: Annotated[str, typer.Option(help='Images whose growth is measured, px.')] = '512,1024,2048,4096,8192',
    strides_px: Annotated[str, typer.Option(help='Strides, px.')] = '64,32,16,8',
    times: Annotated[int, typer.Option(min=1, help='Rounds, after one that warms up.')] = 3,
    cores: Annotated[int, typer.Option(min=1, help='Threads.')] = 2,
    clock: Annotated[str, typer.Option(help='Ratios of seconds, or of cpu_seconds: the latter on a machine that does other work too.')] = 'seconds',
    only: Annotated[str, typer.Option(hidden=True)] = '',
):
    "Measure, and write bench.csv, goals.csv, bench.png and machine.json"
    if only:
        from apoptosis_nb.networks import use_cores
        use_cores(cores_here())
        name, *arguments = json.loads(only)
        rows = dict(windows=windows, strides=strides, unet=unet, others=others, size=size, start=start)[name](*arguments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(2**30 if sys.platform == 'darwin' else 2**20)
        print(json.dumps([dict(o, peak_gib=peak) for o in rows]))
        return
    chosen = parts.split(',')
    if clock not in ('seconds', 'cpu_seconds') or not set(chosen) <= set(PARTS): raise typer.BadParameter(f'parts are {", ".join(PARTS)}; clock is seconds or cpu_seconds')
    os.environ['APOPTOSIS_NB_BENCH_CORES'] = str(cores)
    calls = dict(windows=[('windows', size_px, times)], strides=[('strides', size_px, times, [*map(int, strides_px.split(','))])], unet=[('unet', unet_px, times)], others=[('others', unet_px, times)],
        sizes=[('size', side, times if side <= 4096 else 0, what) for what in ('exact 64/32', 'dense 64/16', 'UNet and counting') for side in map(int, sizes.split(','))], start=[('start', 512)])
    from apoptosis_nb.core import provenance, write_atomically, write_json, write_table
    rows = []
    for part in PARTS:
        for call in calls[part] if part in chosen else []:
            rows += alone(*call)
            table = pd.DataFrame(rows)
            met = goals(table, clock, size_px, unet_px)
            write_table(table, out/'bench.csv') # so far: a run that is stopped leaves what it has
            write_table(met, out/'goals.csv')
            typer.echo(f'{" ".join(map(str, call))}: done')
        if part == 'others' and part in chosen:
            for name, how in OTHERS.items():
                if not find_spec(name): typer.echo(f'{name} is not installed, so not compared; {how}')
    cpu = next((o.split(': ')[1] for o in Path('/proc/cpuinfo').read_text().splitlines() if o.startswith('model name')), '') if Path('/proc/cpuinfo').is_file() else platform.processor()
    write_json(provenance(parts=chosen, sizes=sizes, strides_px=strides_px, times=times, cores=cores, clock=clock, load_average=os.getloadavg()[0], processor=cpu), out/'machine.json')
    with write_atomically(out/'bench.png') as temporary: draw(table, clock).savefig(temporary, dpi=120)
    typer.echo(table.to_string(float_format=lambda o: f'{o:.3g}', na_rep=''))
    typer.echo(met.to_string(float_format=lambda o: f'{o:.3g}', na_rep=''))

if __name__ == '__main__': typer.run(bench)
