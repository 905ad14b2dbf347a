# The study as a graph: each rule runs one notebook of nbs/study with papermill and names what it makes.
# `make study [RUN=quick|standard|paper]` runs it; the run's parameters are in config/<run>.yaml.
# The executed notebook is a rule's log, so that it survives, with its traceback, where a rule fails.
import json

RUN = config['run']
OUT, DATA = f'results/{RUN}', f'data/simulated/{RUN}'
SCHEDULES, VARIANTS, ABLATION_SEEDS = config['unet_schedules'], config['ablation']['variants'], config['ablation']['seeds']
BETAS, SEEDS = (config['notebooks']['90_beta_sweep'][o] for o in ('betas', 'seeds'))
CLASSIFIERS = {64: ('table_1', ['fig_24', 'fig_25']), 128: ('table_6', ['fig_30'])}
DETECTIONS = {64: [f'fig_{n}' for n in (26, 27, 28, 29, 35)], 128: [f'fig_{n}' for n in range(31, 35)]}

SCENES = ['core', 'images', 'spheroids', 'phantoms', 'optics', 'simulation', 'dataset']
WINDOWS = ['preprocessing', 'windows', 'trainings']
TRAINING = ['networks', 'classifier']
NETWORKS = [*TRAINING, 'preprocessing', 'windows', 'scanning', 'evaluation', 'whole_images']
TILES = ['preprocessing', 'tiles', 'segmentations']
UNET = [*TILES, 'networks', 'windows', 'unet'] # windows are turned for its second look
SEGMENTS = [*UNET, 'counting', 'acas', 'evaluation', 'instances', 'whole_images']
PAGES = ['plots', 'study']

def modules(*names): return [f'apoptosis_nb/{o}.py' for group in names for o in group]
def tables(*names): return [f'{OUT}/tables/{o}.csv' for o in names]
def figures(*names): return [f'{OUT}/figures/{o}.png' for o in names]

def before(schedule):
    "What a training of the UNet goes on from: the weights of another, where it does, and its tiles"
    o = SCHEDULES[schedule]
    weights = [f'{OUT}/weights/{o["start"]}.keras'] if 'start' in o else []
    return [*weights, f'{OUT}/tiles/tiles_truth.npz']

def parameters(notebook, window_px=None, /, **more):
    "What the configuration and the rule give to a notebook, as JSON, which is YAML"
    own = config['notebooks'].get(notebook, {})
    by_size = config['window_px'].get(int(window_px), {}).get(notebook, {}) if window_px else {}
    size = dict(window_px=int(window_px)) if window_px else {}
    return json.dumps({**own, **by_size, **size, **more})

PAPERMILL = 'papermill {input.notebook} {log} -k python3 --no-progress-bar -y {params.given:q} >/dev/null'

rule all:
    input: f'{OUT}/summary.md', f'{OUT}/run.json'

rule simulate:
    input: notebook='nbs/study/10_simulate.ipynb', library=modules(SCENES)
    output: f'{DATA}/index.csv', tables('counts')
    params: given=parameters('10_simulate', data=DATA, results=OUT)
    threads: 2
    log: f'{OUT}/notebooks/10_simulate.ipynb'
    shell: PAPERMILL

rule dataset:
    input: f'{DATA}/index.csv', notebook='nbs/study/20_dataset.ipynb', library=modules(PAGES)
    output: figures('fig_06', 'fig_07', 'fig_08', 'fig_09')
    params: given=parameters('20_dataset', data=DATA, results=OUT, count_scale=config['notebooks']['10_simulate']['count_scale'])
    log: f'{OUT}/notebooks/20_dataset.ipynb'
    shell: PAPERMILL

rule principles:
    input: notebook='nbs/study/30_principles.ipynb', library=modules(['diagrams', 'classifier', 'unet'], PAGES)
    output: figures('fig_11', 'fig_15', 'fig_16', 'fig_17', 'fig_20', 'fig_21', 'fig_22', 'fig_23')
    params: given=parameters('30_principles', results=OUT)
    log: f'{OUT}/notebooks/30_principles.ipynb'
    shell: PAPERMILL

rule preprocessing:
    input: f'{DATA}/index.csv', notebook='nbs/study/40_preprocessing.ipynb', library=modules(['preprocessing'], PAGES)
    output: figures('fig_18', 'fig_19')
    params: given=parameters('40_preprocessing', data=DATA, results=OUT)
    log: f'{OUT}/notebooks/40_preprocessing.ipynb'
    shell: PAPERMILL

rule split:
    input: f'{DATA}/index.csv', notebook='nbs/study/50_split.ipynb', library=modules(['spheroids', 'whole_images'])
    output: tables('splits')
    params: given=parameters('50_split', data=DATA, results=OUT)
    log: f'{OUT}/notebooks/50_split.ipynb'
    shell: PAPERMILL

rule windows:
    input: f'{DATA}/index.csv', tables('splits'), notebook='nbs/study/60_windows.ipynb', library=modules(['preprocessing', 'windows'])
    output: f'{OUT}/windows/windows_{{px}}.npz', f'{OUT}/tables/windows_{{px}}.csv'
    params: given=lambda w: parameters('60_windows', w.px, data=DATA, results=OUT)
    log: f'{OUT}/notebooks/60_windows_{{px}}.ipynb'
    shell: PAPERMILL

# One rule a window size, because the sizes make tables and figures of different names.
for px, (table, pictures) in CLASSIFIERS.items():
    rule:
        name: f'train_{px}'
        input: f'{OUT}/windows/windows_{px}.npz', notebook='nbs/study/70_train.ipynb', library=modules(WINDOWS, TRAINING)
        output: f'{OUT}/weights/classifier_{px}.keras', tables(table), figures(*pictures)
        params: given=parameters('70_train', px, results=OUT)
        priority: 10
        log: f'{OUT}/notebooks/70_train_{px}.ipynb'
        shell: PAPERMILL

rule beta:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/windows/windows_64.npz', notebook='nbs/study/80_beta.ipynb', library=modules(WINDOWS, NETWORKS)
    output: f'{OUT}/tables/beta/beta_{{beta}}_seed_{{seed}}.csv', f'{OUT}/weights/beta_{{beta}}_seed_{{seed}}.keras'
    params: given=lambda w: parameters('80_beta', 64, data=DATA, results=OUT, beta=float(w.beta), seed=int(w.seed))
    log: f'{OUT}/notebooks/80_beta_{{beta}}_seed_{{seed}}.ipynb'
    shell: PAPERMILL

rule beta_sweep:
    input: expand(f'{OUT}/tables/beta/beta_{{beta}}_seed_{{seed}}.csv', beta=BETAS, seed=SEEDS), notebook='nbs/study/90_beta_sweep.ipynb', library=modules(['trainings'], PAGES)
    output: tables('table_2'), figures('beta_sweep')
    params: given=parameters('90_beta_sweep', results=OUT)
    log: f'{OUT}/notebooks/90_beta_sweep.ipynb'
    shell: PAPERMILL

for px, pictures in DETECTIONS.items():
    rule:
        name: f'detect_{px}'
        input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/classifier_{px}.keras', notebook='nbs/study/100_detect.ipynb', library=modules(NETWORKS, PAGES)
        output: f'{OUT}/weights/detector_{px}.keras', tables(f'detection_{px}', f'events_{px}', *(['table_3', 'table_4', 'table_8'] if px == 64 else [])), figures(*pictures)
        params: given=parameters('100_detect', px, data=DATA, results=OUT)
        priority: 5
        log: f'{OUT}/notebooks/100_detect_{px}.ipynb'
        shell: PAPERMILL

# The tables with seconds run alone, on both cores.
for number, weights, strides in [(5, 'beta_1_seed_0', [32, 16]), (7, 'detector_128', [64, 32])]:
    rule:
        name: f'table_{number}'
        input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/{weights}.keras', notebook='nbs/study/110_strides.ipynb', library=modules(NETWORKS)
        output: tables(f'table_{number}')
        params: given=parameters('110_strides', data=DATA, results=OUT, weights=weights, table=number, strides_px=strides)
        threads: 2
        log: f'{OUT}/notebooks/110_strides_table_{number}.ipynb'
        shell: PAPERMILL

rule dense_scanning:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/detector_64.keras', notebook='nbs/study/240_dense_scanning.ipynb', library=modules(NETWORKS, PAGES)
    output: tables('dense_scanning'), figures('dense_scanning')
    params: given=parameters('240_dense_scanning', data=DATA, results=OUT)
    threads: 2
    log: f'{OUT}/notebooks/240_dense_scanning.ipynb'
    shell: PAPERMILL

rule missed_events:
    input: tables('events_64'), notebook='nbs/study/120_missed_events.ipynb', library=modules(['whole_images'], PAGES)
    output: tables('missed_events'), figures('missed_events')
    params: given=parameters('120_missed_events', results=OUT)
    log: f'{OUT}/notebooks/120_missed_events.ipynb'
    shell: PAPERMILL

rule split_leak:
    input: f'{OUT}/windows/windows_64.npz', notebook='nbs/study/130_split_leak.ipynb', library=modules(WINDOWS, TRAINING, ['evaluation'])
    output: tables('split_leak'), figures('split_leak')
    params: given=parameters('130_split_leak', results=OUT)
    log: f'{OUT}/notebooks/130_split_leak.ipynb'
    shell: PAPERMILL

rule real_nuclei:
    input: f'{OUT}/weights/classifier_64.keras', notebook='nbs/study/140_real_nuclei.ipynb', library=modules(['mitocheck', 'preprocessing', 'evaluation'], TRAINING, PAGES)
    output: tables('real_nuclei')
    params: given=parameters('140_real_nuclei', results=OUT, simulated=f'{OUT}/weights/classifier_64.keras')
    log: f'{OUT}/notebooks/140_real_nuclei.ipynb'
    shell: PAPERMILL

rule tiles:
    input: f'{DATA}/index.csv', tables('splits'), notebook='nbs/study/150_tiles.ipynb', library=modules(TILES)
    output: f'{OUT}/tiles/tiles_truth.npz', f'{OUT}/tiles/tiles_acas.npz', tables('tiles'), figures('tiles')
    params: given=parameters('150_tiles', data=DATA, results=OUT)
    log: f'{OUT}/notebooks/150_tiles.ipynb'
    shell: PAPERMILL

# The chosen schedule, c, is trained for longer than what is only compared; `end` goes on from its weights.
rule unet_run:
    input: lambda w: before(w.schedule), notebook='nbs/study/160_unet_run.ipynb', library=modules(UNET)
    output: f'{OUT}/tables/unet/unet_{{schedule}}.csv', f'{OUT}/weights/unet_{{schedule}}.keras'
    params: given=lambda w: parameters('160_unet_run', results=OUT, name=f'unet_{w.schedule}', schedule=w.schedule.replace('_', ' '), **SCHEDULES[w.schedule])
    priority: 8
    log: f'{OUT}/notebooks/160_unet_{{schedule}}.ipynb'
    shell: PAPERMILL

rule hard_tiles:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/tiles/tiles_truth.npz', f'{OUT}/weights/unet_end.keras', notebook='nbs/study/165_hard_tiles.ipynb', library=modules(UNET, ['counting', 'evaluation'])
    output: f'{OUT}/tiles/tiles_hard.npz', tables('mistakes_hard'), figures('tiles_hard')
    params: given=parameters('165_hard_tiles', data=DATA, results=OUT)
    priority: 8
    log: f'{OUT}/notebooks/165_hard_tiles.ipynb'
    shell: PAPERMILL

rule unet:
    input: expand(f'{OUT}/tables/unet/unet_{{schedule}}.csv', schedule=SCHEDULES), notebook='nbs/study/170_unet.ipynb', library=modules(['segmentations'], PAGES)
    output: tables('unet_training'), figures('fig_36', 'fig_37')
    params: given=parameters('170_unet', results=OUT)
    log: f'{OUT}/notebooks/170_unet.ipynb'
    shell: PAPERMILL

rule count:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/unet_end.keras', notebook='nbs/study/180_count.ipynb', library=modules(SEGMENTS, ['statistics'], PAGES)
    output: f'{OUT}/weights/segmenter.keras', tables('unet_images', 'event_scores', 'nucleus_splits', 'table_9', 'doses'), figures(*(f'fig_{n}' for n in range(38, 44)), 'doses')
    params: given=parameters('180_count', data=DATA, results=OUT)
    priority: 5
    log: f'{OUT}/notebooks/180_count.ipynb'
    shell: PAPERMILL

rule methods:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/segmenter.keras', [f'{OUT}/weights/detector_{px}.keras' for px in (64, 128)], notebook='nbs/study/190_methods.ipynb',
        library=modules(NETWORKS, SEGMENTS, PAGES)
    output: tables('methods'), figures('fig_45', 'fig_46', 'agreement')
    params: given=parameters('190_methods', data=DATA, results=OUT)
    threads: 2
    log: f'{OUT}/notebooks/190_methods.ipynb'
    shell: PAPERMILL

rule ablation_run:
    input: f'{OUT}/tiles/tiles_truth.npz', f'{OUT}/tiles/tiles_acas.npz', notebook='nbs/study/160_unet_run.ipynb', library=modules(UNET)
    output: f'{OUT}/tables/unet/ablation_{{variant}}_{{seed}}.csv', f'{OUT}/weights/ablation_{{variant}}_{{seed}}.keras'
    params: given=lambda w: parameters('160_unet_run', **{'results': OUT, 'name': f'ablation_{w.variant}_{w.seed}', 'seed': int(w.seed), **config['ablation']['given'], **VARIANTS[w.variant]})
    log: f'{OUT}/notebooks/160_ablation_{{variant}}_{{seed}}.ipynb'
    shell: PAPERMILL

rule ablation:
    input: expand(f'{OUT}/tables/unet/ablation_{{variant}}_{{seed}}.csv', variant=VARIANTS, seed=ABLATION_SEEDS), notebook='nbs/study/200_ablation.ipynb', library=modules(PAGES)
    output: tables('ablation', 'ablation_means'), figures('ablation')
    params: given=parameters('200_ablation', results=OUT, variants=list(VARIANTS), seeds=ABLATION_SEEDS)
    log: f'{OUT}/notebooks/200_ablation.ipynb'
    shell: PAPERMILL

rule dataset2:
    input: f'{OUT}/weights/segmenter.keras', notebook='nbs/study/210_dataset2.ipynb', library=modules(SCENES, SEGMENTS, PAGES)
    output: tables('dataset2'), figures('fig_44')
    params: given=parameters('210_dataset2', data=f'{DATA}_2', results=OUT)
    threads: 2
    log: f'{OUT}/notebooks/210_dataset2.ipynb'
    shell: PAPERMILL

rule real_images:
    input: f'{DATA}/index.csv', tables('splits'), [f'{OUT}/tiles/tiles_{o}.npz' for o in ('truth', 'hard')], f'{OUT}/weights/unet_end.keras', f'{OUT}/weights/segmenter.keras', notebook='nbs/study/220_real_images.ipynb',
        library=modules(['mitocheck', 'dsb2018', 'real_images'], SEGMENTS, PAGES)
    output: tables('real_images')
    params: given=parameters('220_real_images', data=DATA, results=OUT)
    log: f'{OUT}/notebooks/220_real_images.ipynb'
    shell: PAPERMILL

rule real_windows:
    input: f'{DATA}/index.csv', tables('splits'), f'{OUT}/weights/detector_64.keras', tables('real_images'), notebook='nbs/study/230_real_windows.ipynb',
        library=modules(['mitocheck', 'real_images', 'analysis'], NETWORKS, SEGMENTS, PAGES)
    output: tables('real_windows')
    params: given=parameters('230_real_windows', data=DATA, results=OUT)
    log: f'{OUT}/notebooks/230_real_windows.ipynb'
    shell: PAPERMILL

rule summary:
    input: tables('counts', 'table_2', 'table_5', 'table_7', 'missed_events', 'split_leak', 'real_nuclei', 'detection_64', 'detection_128', 'table_1', 'table_6', 'unet_training', 'unet_images', 'methods', 'ablation', 'dataset2', 'real_images', 'real_windows', 'dense_scanning'),
        figures('fig_06', 'fig_11', 'fig_18'), notebook='nbs/study/900_summary.ipynb', library=modules(['summary', 'evaluation', 'instances'])
    output: f'{OUT}/summary.md', f'{OUT}/run.json'
    params: given=parameters('900_summary', results=OUT, run=RUN, config=f'config/{RUN}.yaml')
    log: f'{OUT}/notebooks/900_summary.ipynb'
    shell: PAPERMILL
