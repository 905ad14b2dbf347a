"What the API pages say: signatures, and the comments after each parameter, read from a module's text. Nothing is imported, so that no TensorFlow is needed."
import ast, io, re, tokenize
from dataclasses import dataclass, field

@dataclass
class Item:
    "A function, class, method, attribute or constant"
    kind: str # 'function', 'class', 'method', 'property', 'attribute', 'data'
    name: str
    line: int # in the module, from 1
    signature: str = '' # with its brackets
    doc: str = ''
    parameters: list = field(default_factory=list) # of (name, comment), in order
    returns: str = '' # the comment after the signature
    value: str = '' # of a constant or an attribute
    cell: str = '' # id of the notebook's cell that it comes from
    members: list = field(default_factory=list) # of Item

@dataclass
class Module:
    name: str
    doc: str
    notebook: str # file name, e.g. '00_core.ipynb'
    items: list # of Item, in the order of the text

def comments(text): # {line from 1: its comment without the #}
    return {o.start[0]: re.sub(r'^#\s?', '', o.string) for o in tokenize.generate_tokens(io.StringIO(text).readline) if o.type == tokenize.COMMENT}

def _segment(node, text): # str, as it stands in the lines; ast.get_source_segment splits the whole source every time
    lines = [o.encode() for o in text[node.lineno - 1:node.end_lineno]]
    lines[-1] = lines[-1][:node.end_col_offset]
    lines[0] = lines[0][node.col_offset:]
    return b'\n'.join(lines).decode()

def _typer(annotation, aliases): # (type, help) of Annotated[type, typer.Option(help=...)], or of a name that stands for it
    annotation = aliases.get(getattr(annotation, 'id', ''), annotation)
    if not (isinstance(annotation, ast.Subscript) and getattr(annotation.value, 'id', '') == 'Annotated'): return ast.unparse(annotation), ''
    kind, option = annotation.slice.elts[:2]
    return ast.unparse(kind), next((k.value.value for k in option.keywords if k.arg == 'help'), '') if isinstance(option, ast.Call) else ''

def _parameters(node, text, said, aliases, skip=()): # signature, [(name, comment)], what is returned
    a, shown, found = node.args, [], []
    positional = a.posonlyargs + a.args
    defaults = [None]*(len(positional) - len(a.defaults)) + a.defaults
    first = node.body[0].lineno if node.body[0].lineno > node.lineno else node.lineno + 1
    lines = [o.lineno for o in positional + a.kwonlyargs + [o for o in (a.vararg, a.kwarg) if o]] + [getattr(o, 'end_lineno', 0) for o in defaults + a.kw_defaults if o]
    end = next((i for i in range(max(lines, default=node.lineno), first) if re.search(r'\)[^()#]*:\s*(#.*)?$', text[i-1]) or i == node.lineno and len({*lines, i}) == 1), None)
    def add(arg, star='', default=None):
        if arg.arg in skip: return
        kind, explained = _typer(arg.annotation, aliases) if arg.annotation else ('', '')
        shown.append(f"{star}{arg.arg}{f': {kind}' if kind else ''}{(' = ' if kind else '=') + _segment(default, text) if default else ''}")
        stop = default.end_lineno if default else arg.end_lineno
        found.append((star + arg.arg, explained or (said.get(stop, '') if stop != end else '')))
    for i, (arg, default) in enumerate(zip(positional, defaults)):
        add(arg, default=default)
        if a.posonlyargs and i == len(a.posonlyargs) - 1: shown.append('/')
    if a.vararg: add(a.vararg, '*')
    elif a.kwonlyargs: shown.append('*')
    for arg, default in zip(a.kwonlyargs, a.kw_defaults): add(arg, default=default)
    if a.kwarg: add(a.kwarg, '**')
    returned = [ast.unparse(node.returns)] if node.returns else []
    return f"({', '.join(shown)})", found, ': '.join(returned + [said[end]] if end in said else returned)

def _function(node, text, said, aliases, kind='function', skip=()):
    if any(getattr(o, 'id', '') in ('property', 'cached_property') for o in node.decorator_list): kind = 'property'
    if any(getattr(o, 'id', '') in ('classmethod', 'staticmethod') for o in node.decorator_list): skip = (*skip, 'cls')
    signature, parameters, returns = _parameters(node, text, said, aliases, skip)
    return Item(kind, node.name, node.lineno, signature if kind != 'property' else '', ast.get_docstring(node) or '', parameters, returns)

def _class(node, text, said, aliases):
    item = Item('class', node.name, node.lineno, doc=ast.get_docstring(node) or '')
    is_data = any('dataclass' in ast.unparse(o) for o in node.decorator_list)
    fields = [o for o in node.body if isinstance(o, ast.AnnAssign)]
    if is_data:
        value = lambda o: f' = {ast.unparse(o.value)}' if o.value else ''
        item.signature = '(' + ', '.join(f'{o.target.id}: {ast.unparse(o.annotation)}{value(o)}' for o in fields) + ')'
        item.parameters = [(o.target.id, said.get(o.end_lineno, '')) for o in fields]
    if any('Enum' in ast.unparse(o) for o in node.bases):
        item.members = [Item('attribute', o.targets[0].id, o.lineno, value=ast.unparse(o.value)) for o in node.body if isinstance(o, ast.Assign)]
    for o in node.body:
        if not isinstance(o, ast.FunctionDef) or any(isinstance(d, ast.Attribute) and d.attr == 'setter' for d in o.decorator_list): continue
        if o.name == '__init__': item.signature, item.parameters, _ = _parameters(o, text, said, aliases, ('self',))
        elif not o.name.startswith('_'): item.members.append(_function(o, text, said, aliases, 'method', ('self',)))
    return item

def read_module(
    path, # Path of a module that nbdev exported
): # Module
    "What a module offers"
    source = path.read_text(encoding='utf-8')
    tree, text, said = ast.parse(source), source.splitlines(), comments(source)
    cells = {i: o.groups() for i, line in enumerate(text, 1) if (o := re.match(r'# %% \.\./nbs/(\S+) #(\w+)', line))}
    def names(node): return [o.id for target in (node.targets if isinstance(node, ast.Assign) else [node.target]) for o in ast.walk(target) if isinstance(o, ast.Name)]
    public, items = next((ast.literal_eval(o.value) for o in tree.body if isinstance(o, ast.Assign) and names(o) == ['__all__']), []), []
    aliases = {o.targets[0].id: o.value for o in tree.body if isinstance(o, ast.Assign) and isinstance(o.targets[0], ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in public: items.append(_function(node, text, said, aliases))
        elif isinstance(node, ast.ClassDef) and node.name in public: items.append(_class(node, text, said, aliases))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            each = node.value.elts if isinstance(node.value, ast.Tuple) and len(names(node)) == len(node.value.elts) > 1 else [node.value]*len(names(node))
            items += [Item('data', o, node.lineno, value=_segment(v, text), doc=said.get(node.lineno, '') if node.lineno == node.end_lineno else '') for o, v in zip(names(node), each) if o in public]
    for item in items: item.cell = next((cells[i][1] for i in sorted(cells, reverse=True) if i < item.line), '')
    return Module(path.stem, ast.get_docstring(tree) or '', next((o[0] for o in cells.values()), ''), items)
