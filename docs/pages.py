"""The sources of the documentation site: notebooks, API pages, and the thesis beside ours, laid out as in the repository, so that links that work on GitHub work here.

`python docs/pages.py _proc/pages` writes them; Sphinx makes the site of them (`make docs`). Stops with a list where a link leads nowhere, or a figure or
table of the thesis belongs to no notebook.
"""
import csv, html, json, re, shutil, sys
from configparser import ConfigParser
from pathlib import Path

from docments import read_module

ROOT = Path(__file__).parents[1]
REFERENCE = 'docs/reference/standard'
ROWS = 24 # of a table, above which it is linked and not shown
TABLES = {1: 'the 64 px classifier on windows', 2: 'the beta of the loss', 3: 'events in whole images, against the annotator', 4: 'the same, against the truth (the thesis: against biologists)',
          5: 'two strides, 64 px windows', 6: 'the 128 px classifier on windows', 7: 'two strides, 128 px windows', 8: 'predicted and annotated places', 9: 'counts by the UNet'}
FIGURES = [*range(6, 10), 11, *range(15, 47)]

def read(path): return (ROOT/path).read_text(encoding='utf-8')
def setting(name):
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT'][name]
GITHUB, BRANCH = setting('git_url'), setting('branch')
def on_github(path, line=''): return f'{GITHUB}/blob/{BRANCH}/{path}{f"#L{line}" if line else ""}'
def on_colab(path): return on_github(path).replace('https://github.com', 'https://colab.research.google.com/github')
def by_number(folder): return sorted((ROOT/folder).glob('[0-9]*.ipynb'), key=lambda o: (int(o.stem.split('_')[0]), o.stem))

def source(cell): return ''.join(cell['source'])
def load(path): return json.loads(path.read_text(encoding='utf-8'))
def heading(path): # title, subtitle of a notebook
    lines = source(load(path)['cells'][0]).splitlines()
    return lines[0].lstrip('# '), next((o.lstrip('> ') for o in lines if o.startswith('>')), '')

def numbers(text): # 'Tables 3, 4 and 8, Figures 26-29' -> {'table': [3, 4, 8], 'figure': [26, 27, 28, 29]}
    found = {}
    for kind, listed in re.findall(r'(Table|Figure)s? ((?:\d+(?:-\d+)?(?:, | and )?)+)', text):
        for o in re.findall(r'(\d+)(?:-(\d+))?', listed): found.setdefault(kind.lower(), []).extend(range(int(o[0]), int(o[1] or o[0]) + 1))
    return found

# Names in prose become links
class Names:
    "What a name in backticks leads to: an object of the library, or a notebook of the study"
    def __init__(self, modules):
        self.places = {}
        for m in modules:
            for o in m.items:
                self.places.setdefault(o.name, set()).add(f'apoptosis_nb.{m.name}.{o.name}')
                self.places[f'{m.name}.{o.name}'] = {f'apoptosis_nb.{m.name}.{o.name}'}
                for member in o.members: self.places.setdefault(f'{o.name}.{member.name}', set()).add(f'apoptosis_nb.{m.name}.{o.name}.{member.name}')
        self.notebooks = {o.stem: o.relative_to(ROOT) for folder in ('nbs/study', 'nbs/guides') for o in by_number(folder)}
    def link(self, text, folder='', module=''):
        def one(found):
            name = found[1].removesuffix('()')
            if name in self.notebooks: return f'[`{name}`]({"../"*len(Path(folder).parts)}{self.notebooks[name]})'
            there = self.places.get(name, set())
            if len(there) > 1: there = {o for o in there if o.startswith(f'apoptosis_nb.{module}.')}
            return f'{{py:obj}}`{found[1]} <{min(there)}>`' if len(there) == 1 else found[0]
        def line(text): return text if text.startswith(('#', '|')) else re.sub(r'(?<![`\[{:}\w])`([\w.]+(?:\(\))?)`(?![`\]])', one, text)
        parts = re.split(r'(^```.*?^```)', text, flags=re.S | re.M)
        return ''.join(o if o.startswith('```') else '\n'.join(map(line, o.split('\n'))) for o in parts)

def escaped(text): # plain text as Markdown; what is in backticks stays as it is
    return ''.join(o if o.startswith('`') else re.sub(r'([\\*_\[\]<>${}|#~])', r'\\\1', o) for o in re.split(r'(`[^`]*`)', text))

# Tables
def neat(text):
    try: return f'{float(text):.4g}' if '.' in text or 'e' in text else text
    except ValueError: return text
def markdown_table(header, rows): return '\n'.join('| ' + ' | '.join(escaped(str(o)) for o in row) + ' |' for row in (header, ['---']*len(header), *rows)).replace('\\-', '-')
def show_table(path): # Markdown
    "A table with the thesis's values next to ours; what is the same in every row below it"
    with open(path, newline='', encoding='utf-8') as f: header, *rows = csv.reader(f)
    if len(rows) > ROWS: return f'{len(rows)} rows: {", ".join(f"`{o}`" for o in header)}.'
    same = [i for i, o in enumerate(header) if len(rows) > 1 and len({r[i] for r in rows}) == 1 and not o.startswith('thesis_')]
    order = [i for i, o in enumerate(header) if i not in same and not (o.startswith('thesis_') and o.removeprefix('thesis_') in header)]
    order = [j for i in order for j in ([i, header.index(f'thesis_{header[i]}')] if f'thesis_{header[i]}' in header else [i])]
    shown = markdown_table([header[i].replace('thesis_', 'thesis: ') for i in order], [[neat(r[i]) for i in order] for r in rows])
    made = ', '.join(f'`{header[i]}` {escaped(neat(rows[0][i]))}' for i in same)
    return shown + (f'\n\nIn every row: {made}.' if made else '')

class Results:
    "The reference run: which notebook makes which figure and table"
    def __init__(self):
        self.folder, self.notebooks = ROOT/REFERENCE, by_number('nbs/study')
        self.made = {o: {'figure': [], 'table': []} for o in self.notebooks}
        for path in self.notebooks:
            for kind, listed in numbers(heading(path)[1]).items(): self.made[path][kind] += [f'fig_{o:02d}' if kind == 'figure' else f'table_{o}' for o in listed]
        numbered = [o for made in self.made.values() for names in made.values() for o in names]
        expected = [f'table_{o}' for o in TABLES] + [f'fig_{o:02d}' for o in FIGURES]
        if sorted(numbered) != sorted(expected): raise SystemExit(f'one notebook each must name in its subtitle: {sorted(set(expected) ^ set(numbered)) or "some are named twice"}')
        for kind, paths in (('figure', self.folder.glob('figures/*.png')), ('table', self.folder.glob('tables/**/*.csv'))):
            for o in sorted(paths):
                name = str(o.relative_to(self.folder/f'{kind}s').with_suffix(''))
                if name not in expected: self.made[self.maker(name)][kind].append(name)
    def maker(self, name): # the notebook that writes what is called so
        pattern = lambda call: re.sub(r'\{[^}]*\}', '\0', call)
        found = []
        for path in self.notebooks:
            code = '\n'.join(source(o) for o in load(path)['cells'] if o['cell_type'] == 'code')
            written = re.findall(r"(?:save_figure|write_result)\(.*?, results, f?'([^']+)'", code)
            if any(re.fullmatch('.+'.join(map(re.escape, pattern(o).split('\0'))), name) for o in written if not o.startswith(('fig_{', 'table_{'))): found.append(path)
        if len(found) != 1: raise SystemExit(f'{REFERENCE}: {name} is made by {[o.name for o in found] or "no notebook"}')
        return found[0]
    def caption(self, name): return json.loads((self.folder/'figures'/f'{name}.json').read_text(encoding='utf-8'))['caption']
    def figure(self, name, up): # Markdown
        return f'![{escaped(self.caption(name))}]({up}{REFERENCE}/figures/{name}.png)\n\n<p class="drawn-caption">{html.escape(self.caption(name))}</p>'
    def files(self, kind, name, up): # Markdown
        "Links to a result's file, and to what says how it was made"
        base = f'{kind}s/{name}'
        links = [(f'{name}.{o}', f'{base}.{o}') for o in (('png', 'json') if kind == 'figure' else ('csv', 'json')) if (self.folder/f'{base}.{o}').is_file()]
        return ' · '.join(f'[{text}]({up}{REFERENCE}/{path})' for text, path in links)

# Pages
def title_links(path, module=''):
    links = [f'[On GitHub]({on_github(path)})', f'[Open in Colab]({on_colab(path)})']
    if module: links.insert(0, f'[API of `{module}`]({"../"*(len(Path(path).parts) - 1)}api/{module}.md)')
    return ' · '.join(links)

BADGE = re.compile(r'^\[!\[Open in Colab\].*\n', flags=re.M)
def markdown_cell(text, id): return dict(cell_type='markdown', id=id, metadata={}, source=text)

def notebook_page(path, names, module='', more=''): # the notebook as JSON
    "A notebook for the site: its directives heeded, names linked"
    notebook, place, cells = load(path), str(path.relative_to(ROOT)), []
    for i, cell in enumerate(notebook['cells']):
        text = source(cell)
        if cell['cell_type'] == 'markdown':
            text = BADGE.sub('', text)
            if i == 0: text = text.replace('\n', f'\n{title_links(place, module)}\n\n', 1)
            cells.append(cell | dict(source=names.link(text, Path(place).parent, module)))
            continue
        said = re.match(r'#\|\s*([^\n]*)\n?', text)
        directive = said[1].strip() if said else ''
        if directive.startswith(('hide', 'default_exp')) and directive != 'hide_input': continue
        if not module and ("'google.colab' in sys.modules" in text or text.startswith('from apoptosis_nb.colab import offer')): continue # the link to Colab stands for them
        if directive == 'export': cells.append(markdown_cell(f'(cell-{module}-{cell["id"]})=', f'at-{cell["id"]}'))
        tags = list(cell['metadata'].get('tags', []))
        if directive in ('echo: false', 'hide_input'): tags.append('remove-input')
        text = text[said.end():] if said else text
        if text.strip(): cells.append(cell | dict(source=text, metadata=cell['metadata'] | (dict(tags=tags) if tags else {})))
    if more: cells.append(markdown_cell(more, 'reference'))
    return notebook | dict(cells=cells)

def made_page(path, results): # Markdown
    "What the reference run made of a notebook of the study"
    up, text = '../../', ''
    for kind in ('figure', 'table'):
        for name in results.made[path][kind]:
            shown = results.figure(name, up) if kind == 'figure' else show_table(results.folder/'tables'/f'{name}.csv')
            number = re.fullmatch(r'(?:fig|table)_0?(\d+)', name)
            text += f'\n\n### {f"{kind.title()} {number[1]}" if number else escaped(name)}\n{shown}\n\n{results.files(kind, name, up)}'
    config = json.loads((results.folder/'run.json').read_text(encoding='utf-8'))['parameters']['config']
    given = [('', config['notebooks'].get(path.stem))] + [(f' for {px} px', o.get(path.stem)) for px, o in config['window_px'].items()]
    how = '; '.join(', '.join(f'`{k}={v!r}`' for k, v in o.items()) + where for where, o in given if o)
    if path.stem == '160_unet_run': how = '`unet_schedules` and `ablation` of its configuration to each training' # which have it otherwise than `notebooks`
    how = f'Given there: {how}. ' if how else ''
    how += f'All parameters: [run.json]({up}{REFERENCE}/run.json).\n'
    return f'## In the reference run\nSimulated data unless a caption says real; the thesis\'s values come from its own images. {how}{text}' if text else ''

def api_page(module, names): # Markdown
    "A module's functions and classes with what is said of each parameter"
    notebook = f'nbs/{module.notebook}'
    def linked(text): return names.link(escaped(text), 'api', module.name)
    def block(o, inside=False):
        lines = [f'{{py:{o.kind}}} {o.name}{o.signature}']
        if o.kind in ('data', 'attribute') and '\n' not in o.value and len(o.value) < 60: lines.append(f':value: {json.dumps(o.value)}')
        body = [linked(o.doc)] if o.doc else []
        fields = [f':param {name.lstrip("*")}: {linked(said)}' for name, said in o.parameters] + ([f':returns: {linked(o.returns)}'] if o.returns else [])
        if fields: body.append('\n'.join(fields))
        if not inside: body.append(f'[source]({on_github(f"apoptosis_nb/{module.name}.py", o.line)}) · [in the notebook](../{notebook}#cell-{module.name}-{o.cell})')
        body += [block(m, True) for m in o.members]
        text = '\n'.join(lines) + '\n\n' + '\n\n'.join(body)
        fence = '`'*max(3, 1 + max((len(m) for m in re.findall('`{3,}', text)), default=0))
        return f'{fence}{text}\n{fence}'
    head = f'# {module.name}\n```{{py:module}} apoptosis_nb.{module.name}\n```\n{linked(module.doc)}. The notebook that makes it, with examples: [{notebook}](../{notebook}).'
    return '\n\n'.join([head, *map(block, module.items)]) + '\n'

def equations(modules): # Markdown
    "Which functions compute which of the thesis's equations, as they say themselves"
    found = {}
    for module in modules:
        for o in module.items:
            for first, last in re.findall(r'Eqs?\. (\d+)(?:-(\d+))?', o.doc):
                for n in range(int(first), int(last or first) + 1): found.setdefault(n, []).append(f'`{module.name}.{o.name}`')
    return '\n'.join(f'- Eq. {n}: {", ".join(found[n])}' for n in sorted(found))

def thesis_page(results, modules, names): # Markdown
    run = json.loads((results.folder/'run.json').read_text(encoding='utf-8'))
    maker = {name: path for path, made in results.made.items() for names in made.values() for name in names}
    def link(name): return f'[{escaped(maker[name].stem)}]({maker[name].relative_to(ROOT)})'
    text = f'''# The thesis beside ours
Every figure and table of the thesis that shows a result or a principle, with the notebook that makes it again and what the reference run made. The thesis's images are not
public: ours are simulated spheroids unless a caption says real, and its values, marked *thesis*, come from its own images. They stand beside, not against; rows side by side are
of different images. Figures 1 to 5, 10 and 12 to 14 are drawings of biology and of textbook networks, no results, and are left out.

The notebooks of the reference run were last executed from {min(o["started"] for o in run["notebooks"].values())[:10]} to {run["time"][:10]}, its summary is of commit `{run["commit"][:10]}`; [run.json]({REFERENCE}/run.json) has its parameters and versions. `make study RUN=standard` makes it again.
What else the study finds, beyond the thesis, is on the pages of [its notebooks](study.md).

## Tables
'''
    for n, what in TABLES.items():
        name = f'table_{n}'
        thesis = f'data/thesis/{name}.csv'
        text += f'### Table {n}: {what}\nFrom {link(name)} · {results.files("table", name, "")} · the thesis\'s values: [{Path(thesis).name}]({thesis})\n\n{show_table(results.folder/"tables"/f"{name}.csv")}\n\n'
    text += '## Figures\n'
    for n in FIGURES:
        name = f'fig_{n:02d}'
        text += f'### Figure {n}\nFrom {link(name)} · {results.files("figure", name, "")}\n\n{results.figure(name, "")}\n\n'
    return text + f'## Equations\n{names.link(equations(modules))}\n'

def listed(title, text, folder): # Markdown
    "A page that lists the notebooks of a folder"
    paths = by_number(folder)
    rows = '\n'.join(f'| {o.stem.split("_")[0]} | [{heading(o)[0]}]({o.relative_to(ROOT)}) | {heading(o)[1]} |' for o in paths)
    return f'# {title}\n{text}\n\n| order | notebook | what |\n| --- | --- | --- |\n{rows}\n\n' + toctree('', [str(o.relative_to(ROOT).with_suffix('')) for o in paths])

def toctree(caption, pages): return '\n'.join(['```{toctree}', ':hidden:', *([f':caption: {caption}'] if caption else []), '', *pages, '```', ''])

DOORS = '''**Where to go from here**

- *You have images:* %s; on your machine or on Colab.
- *You read:* the [library's notebooks](library.md) explain each step with its code, examples and pictures; the [API](api/index.md) says what goes in and out.
- *You check or go on:* [the thesis beside ours](thesis.md), [the study's notebooks](study.md), [how to contribute](CONTRIBUTING.md).

'''

def home_page(more): # Markdown
    "README.md, with doors instead of the list of notebooks"
    guides = ', '.join(f'[{heading(o)[0].lower()}]({o.relative_to(ROOT)})' for o in by_number('nbs/guides'))
    first, *sections = re.split(r'^(?=## )', read('README.md'), flags=re.M)
    first = re.sub(r'^All of this as a site.*\n', '', first, flags=re.M) # which is here
    return re.sub(r'(?=^!\[)', lambda _: DOORS % guides, first, count=1, flags=re.M) + ''.join(o for o in sections if not o.startswith('## What is where')) + '\n' + more

# Links
def check_links(text, place, staged): # Markdown
    "Links to what is on the site stay, others lead to the repository; SystemExit where one leads nowhere"
    lost = []
    def one(found):
        target, _, anchor = found[1].partition('#')
        if '://' in target or target.startswith('mailto:') or not target: return found[0]
        path = (ROOT/Path(place).parent/target).resolve()
        if not path.is_relative_to(ROOT): lost.append(target)
        elif (name := str(path.relative_to(ROOT))) == REFERENCE: return '](thesis.md)'
        elif name in staged: return found[0]
        elif path.exists(): return f'](<{on_github(name)}>)' if ' ' in name else f']({on_github(name)})'
        else: lost.append(target)
        return found[0]
    parts = re.split(r'(^```(?!\{py:).*?^```|`[^`\n]*`)', text, flags=re.S | re.M)
    text = ''.join(o if o.startswith('`') else re.sub(r'\]\(([^)\s]+)\)', one, o) for o in parts)
    if lost: raise SystemExit(f'{place}: links to {", ".join(lost)}, which is not there')
    return text

def main(out):
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    modules = [read_module(o) for o in sorted((ROOT/'apoptosis_nb').glob('*.py')) if not o.name.startswith('_')]
    modules.sort(key=lambda o: o.notebook)
    names, results = Names(modules), Results()
    of_notebook = {o.notebook: o.name for o in modules}
    pages = {'library.md': listed('The library', 'In the order of the data flow. Each notebook is one module, and imports only from lower numbers.', 'nbs'),
             'study.md': listed('The study', 'In the order in which the `Snakefile` runs them with papermill. The code is shown as it is stored, and below it what the reference run made.', 'nbs/study'),
             'thesis.md': thesis_page(results, modules, names), 'CONTRIBUTING.md': read('CONTRIBUTING.md'), 'data/README.md': read('data/README.md'),
             'api/index.md': '# API\nMade from the comments after each parameter. A module is made by the notebook of its name, which shows it at work.\n\n' + '\n'.join(f'- [{o.name}]({o.name}.md): {escaped(o.doc)}' for o in modules)
                 + '\n\n' + toctree('', [o.name for o in modules])}
    if (ROOT/'CHANGELOG.md').is_file(): pages['CHANGELOG.md'] = read('CHANGELOG.md')
    pages |= {f'api/{o.name}.md': api_page(o, names) for o in modules}
    guides = [str(o.relative_to(ROOT).with_suffix('')) for o in by_number('nbs/guides')]
    pages['index.md'] = home_page(toctree('Your images', guides) + toctree('Read', ['library', 'api/index']) + toctree('Check', ['thesis', 'study', 'data/README'])
                                  + toctree('Change', [o for o in ('CONTRIBUTING', 'CHANGELOG') if f'{o}.md' in pages]))
    notebooks = {str(o.relative_to(ROOT)): notebook_page(o, names, of_notebook.get(o.name, '') if folder == 'nbs' else '', made_page(o, results) if folder == 'nbs/study' else '')
                 for folder in ('nbs', 'nbs/guides', 'nbs/study') for o in by_number(folder)}
    files = [str(o.relative_to(ROOT)) for folder in (REFERENCE, 'data/thesis') for o in sorted((ROOT/folder).rglob('*')) if o.suffix in ('.png', '.csv', '.json')] + ['docs/in_and_out.png']
    staged = {*pages, *notebooks, *files}
    for name, text in pages.items():
        (out/name).parent.mkdir(parents=True, exist_ok=True)
        (out/name).write_text(check_links(text, name, staged), encoding='utf-8')
    for name, notebook in notebooks.items():
        for cell in notebook['cells']:
            if cell['cell_type'] == 'markdown': cell['source'] = check_links(source(cell), name, staged)
        (out/name).parent.mkdir(parents=True, exist_ok=True)
        (out/name).write_text(json.dumps(notebook), encoding='utf-8')
    for name in files:
        (out/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT/name, out/name)
    return staged

if __name__ == '__main__': main(sys.argv[1])
