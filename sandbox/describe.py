# Input schemas from signatures: annotations give types, docstrings give descriptions.
# boot.py runs it where an arena asks for it.
import collections.abc, datetime, decimal, enum, inspect, re, types, typing, uuid

simple = {
    str: {'type': 'string'}, int: {'type': 'integer'}, float: {'type': 'number'}, bool: {'type': 'boolean'},
    dict: {'type': 'object'}, list: {'type': 'array'}, tuple: {'type': 'array'}, type(None): {'type': 'null'},
    set: {'type': 'array', 'uniqueItems': True}, frozenset: {'type': 'array', 'uniqueItems': True},
    bytes: {'type': 'string'}, decimal.Decimal: {'type': 'number'}, uuid.UUID: {'type': 'string', 'format': 'uuid'},
    datetime.datetime: {'type': 'string', 'format': 'date-time'}, datetime.date: {'type': 'string', 'format': 'date'},
    datetime.time: {'type': 'string', 'format': 'time'},
    typing.Any: {}, object: {}, inspect.Parameter.empty: {},
}
lists = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
maps = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def of(t):
    """The schema of an annotation; {} where it says nothing that JSON Schema can."""
    try:
        if t in simple:
            return dict(simple[t])
    except TypeError:
        return {}
    origin, args = typing.get_origin(t), typing.get_args(t)
    if origin is typing.Literal:
        return {'enum': list(args)}
    if origin is typing.Annotated:
        s = of(args[0])
        text = [a for a in args[1:] if isinstance(a, str)]
        return {**s, 'description': text[0]} if text else s
    if origin is typing.Union or origin is types.UnionType:
        return union([of(a) for a in args])
    if origin in lists:
        s = {'type': 'array', 'items': of(args[0])} if args else {'type': 'array'}
        return {**s, 'uniqueItems': True} if origin in (set, frozenset) else s
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return {'type': 'array', 'items': of(args[0])}
        return {'type': 'array', 'prefixItems': [of(a) for a in args], 'minItems': len(args), 'maxItems': len(args)}
    if origin in maps:
        return {'type': 'object', 'additionalProperties': of(args[1])} if len(args) == 2 else {'type': 'object'}
    if isinstance(t, type) and issubclass(t, enum.Enum):
        return {'enum': [m.value for m in t]}
    if typing.is_typeddict(t):
        hints = typing.get_type_hints(t)
        return {'type': 'object', 'properties': {k: of(v) for k, v in hints.items()}, 'required': sorted(t.__required_keys__)}
    return {}


def union(forms):
    """One list of types where that says it all."""
    if all(set(f) == {'type'} for f in forms):
        return {'type': [f['type'] for f in forms]}
    return {'anyOf': forms} if {} not in forms else {}


google = re.compile(r'^\s*\**(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$')
sphinx = re.compile(r':param\s+(?:[\w\[\], |]+\s+)?(\w+)\s*:\s*([^\n]*(?:\n(?!\s*:)\s+[^\n]+)*)')


def documented(doc):
    """What a docstring says of each parameter: Google's style or Sphinx's."""
    said = {name: ' '.join(text.split()) for name, text in sphinx.findall(doc)}
    inside, indent, last = False, None, None
    for line in doc.splitlines():
        if re.match(r'^\s*(Args|Arguments|Parameters|Params)\s*:\s*$', line):
            inside, indent, last = True, None, None
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if indent is None:
            indent = depth
        if depth < indent:
            inside = False
        elif depth > indent and last:
            said[last] += ' ' + line.strip()
        elif m := google.match(line):
            last = m[1]
            said[last] = m[2].strip()
    return said


def schema(f, owner):
    """The input schema of a tool; owner is the class that it is a method of, or None."""
    method = owner is not None and inspect.isfunction(inspect.getattr_static(owner, f.__name__, None))
    said = documented(inspect.getdoc(f) or '')
    try:
        hints = typing.get_type_hints(f, include_extras=True)
    except Exception:  # a name that is not there: the annotation says nothing
        hints = {}
    properties, required, more = {}, [], False
    parameters = list(inspect.signature(f).parameters.values())
    for p in parameters[1:] if method else parameters:
        if p.kind is p.VAR_KEYWORD:
            more = True
            continue
        if p.kind is p.VAR_POSITIONAL:
            continue
        if p.kind is p.POSITIONAL_ONLY:
            raise TypeError(f'{f.__name__}: {p.name} can only be given by position, and agents give names')
        s = of(hints.get(p.name, p.annotation))
        if said.get(p.name):
            s.setdefault('description', said[p.name])
        if p.default is p.empty:
            required.append(p.name)
        elif isinstance(p.default, (str, int, float, bool, list, dict)):
            s['default'] = p.default
            if not s.get('type') and not s.get('enum') and 'anyOf' not in s:
                s = {**of(type(p.default)), **s}
        elif p.default is None and 'type' in s:
            have = s['type'] if isinstance(s['type'], list) else [s['type']]
            s['type'] = have if 'null' in have else have + ['null']
        properties[p.name] = s
    whole = {'type': 'object', 'properties': properties, 'additionalProperties': more}
    if required:
        whole['required'] = required
    return whole
