# The main program of the Python engine: makes what every arena's tools find, says where
# things are, and is left there. The host then calls call, setup, state, load and feed as
# if from the last line. What they need later they take now, so that no tool can put
# something else in its place.
#
# cell is the block that the host writes: the world's block (wasi.go), then at HEAD the
# length of the input and a tool's number, then the input. What a function returns is
# bytes: '=' and JSON, '!' and a message, a NUL and where it came from, or '?' where the
# input is not JSON.
import gc, io, json, posix, random, struct, sys, time, types
# What most tools import is in the image already, compiled.
import collections, copy, dataclasses, datetime, decimal, enum, functools, itertools, math, re, string, typing, uuid

HEAD, ROOM, MOST = @HEAD@, @ROOM@, 4000
cell = bytearray(HEAD + 8 + ROOM)
header = struct.Struct('<II').unpack_from
world_seed = struct.Struct('<q').unpack_from
seed_random = random.seed
scan = json.scanner.c_make_scanner(json.JSONDecoder())
Coroutine, Module = types.CoroutineType, types.ModuleType
scalars = (str, int, float, bool, type(None), list, dict)

fed = []      # input that did not fit into the cell
out = b''     # what was returned last: the host reads it
fresh = True  # the world's seed has not been taken yet
module = None
owner = None  # the class whose methods are the tools, or None
holder = None # its instance in this world
names = []
tools = []
opener = ''   # the method of owner that takes the scenario
entry = ''


class Log(io.TextIOBase):
    """What print and logging write to: the log of the step."""
    encoding, errors = 'utf-8', 'replace'

    def write(self, text, write=posix.write):
        if text:
            write(1, text.encode('utf-8', 'replace'))
        return len(text)

    def writable(self):
        return True


def text(n):
    if fed:
        whole = b''.join(fed)
        fed.clear()
        return str(whole + cell[HEAD + 8:HEAD + 8 + n], 'utf-8')
    return str(cell[HEAD + 8:HEAD + 8 + n], 'utf-8')


def feed():
    n, _ = header(cell, HEAD)
    fed.append(bytes(cell[HEAD + 8:HEAD + 8 + n]))


def begin():
    """Takes the world's seed, and makes the object whose methods are the tools."""
    global fresh, holder
    fresh = False
    seed_random(world_seed(cell, 0)[0])
    if owner is not None:
        holder = owner()
        tools[:] = [getattr(holder, name) for name in names]


def settle(value):
    """What a coroutine returns: there is nothing to wait for here."""
    while isinstance(value, Coroutine):
        try:
            value.send(None)
        except StopIteration as stop:
            value = stop.value
        else:
            value.close()
            raise RuntimeError('it awaits what never comes: there are no timers and no input here')
    return value


# Results as JSON. Beside what json knows: sets become lists in the order of their JSON,
# dates and times ISO 8601, a timedelta seconds, a Decimal the nearest number, NaN and
# infinities null, bytes text, an enum its value, a dataclass or other object its public
# attributes, iterators lists, keys that are no text their str().
def other(v):
    if isinstance(v, (set, frozenset)):
        return sorted((plain(x) for x in v), key=ordered)
    if isinstance(v, enum.Enum):
        return v.value
    if isinstance(v, (datetime.datetime, datetime.date, datetime.time)):
        return v.isoformat()
    if isinstance(v, datetime.timedelta):
        return v.total_seconds()
    if isinstance(v, decimal.Decimal):
        return int(v) if v.is_finite() and v == v.to_integral_value() and abs(v) < 1 << 53 else plain(float(v))
    if isinstance(v, (bytes, bytearray, memoryview)):
        return bytes(v).decode('utf-8', 'replace')
    if isinstance(v, (uuid.UUID, complex)) or hasattr(v, '__fspath__'):
        return str(v)
    if isinstance(v, collections.abc.Mapping):
        return {key(k): v[k] for k in v}
    if isinstance(v, collections.abc.Iterable) and not isinstance(v, type):
        return list(v)
    if dataclasses.is_dataclass(v) and not isinstance(v, type):
        return {f.name: getattr(v, f.name) for f in dataclasses.fields(v) if not f.name.startswith('_')}
    if hasattr(v, '__dict__') and not isinstance(v, (type, types.FunctionType, types.ModuleType)):
        return {k: x for k, x in vars(v).items() if not k.startswith('_')}
    raise TypeError(f'it returned a {type(v).__name__}, which is no JSON: return a dict, a list, text or a number')


def key(k):
    if isinstance(k, enum.Enum):
        k = k.value
    if isinstance(k, float) and not math.isfinite(k):
        return str(k)
    return k if isinstance(k, (str, int, float, type(None))) else str(k)


def plain(v):
    """v in the types that JSON has: the slow way, for what the encoder refuses."""
    if v is None or isinstance(v, (bool, int)) and not isinstance(v, enum.Enum):
        return v
    if isinstance(v, str) and not isinstance(v, enum.Enum):
        return v
    if isinstance(v, float) and not isinstance(v, enum.Enum):
        return v if math.isfinite(v) else None
    if isinstance(v, dict):
        return {key(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return plain(other(v))


def encoder(ascii, strict):
    quote = json.encoder.encode_basestring_ascii if ascii else json.encoder.encode_basestring
    return json.encoder.c_make_encoder(None, other, quote, None, ':', ',', False, False, not strict)


fast, escaped = encoder(False, True), encoder(True, True)


def ordered(v):
    return ''.join(escaped(v, 0))


def encode(v):
    try:
        return ''.join(fast(v, 0)).encode()
    except (TypeError, ValueError):  # keys that are no text, NaN, a lone surrogate
        return ''.join(escaped(plain(v), 0)).encode()


def failure(e):
    """An exception as the host reads it. Reading it may run the tool's code."""
    try:
        kind, message = type(e).__name__, str(e)[:MOST]
        if isinstance(e, SystemExit):
            kind, message = 'SystemExit', 'the tool called sys.exit' + (f' ({message})' if message else '')
        if isinstance(e, SyntaxError) and e.lineno and e.filename == entry:
            message, where = e.msg[:MOST], f'{entry}:{e.lineno}\n'
        else:
            where, t = '', e.__traceback__
            while t is not None:
                code = t.tb_frame.f_code
                if code.co_filename == entry:
                    where = f'{entry}:{t.tb_lineno} in {code.co_name}\n' + where
                t = t.tb_next
        told = f'{kind}: {message}' if message else kind
        return b'!' + told.encode('utf-8', 'replace') + b'\0' + where[:MOST].encode('utf-8', 'replace')
    except BaseException:
        return b'!an exception that cannot be read\0'


def call():
    global out
    n, k = header(cell, HEAD)
    try:
        args, _ = scan(text(n), 0)
    except (StopIteration, ValueError, RecursionError):
        out = b'?'
        return out
    try:
        if fresh:
            begin()
        value = tools[k](**args)
        if isinstance(value, Coroutine):
            value = settle(value)
        out = b'=' + encode(value)
    except BaseException as e:
        out = failure(e)
    return out


def setup():
    global out
    n, _ = header(cell, HEAD)
    try:
        scenario, _ = scan(text(n), 0)
        begin()
        if owner is None:
            settle(module.setup(scenario))
        elif opener:
            settle(getattr(holder, opener)(scenario))
        out = b'='
    except BaseException as e:
        out = failure(e)
    return out


def state():
    global out
    try:
        if fresh:
            begin()
        if owner is None:
            value = module.state()
        elif hasattr(holder, 'state'):
            value = holder.state()
        else:
            value = {k: v for k, v in vars(holder).items() if not k.startswith('_')}
        out = b'=' + encode(settle(value))
    except BaseException as e:
        out = failure(e)
    return out


class Wrong(Exception):
    """What is wrong with an arena's code, for its author."""


def load():
    """Runs module code: {"entry", "source", "tools", "class", "setup", "describe"}."""
    global out, module, owner, opener, entry, names, tools, fresh
    n, _ = header(cell, HEAD)
    try:
        what, _ = scan(text(n), 0)
        entry, names, opener = what['entry'], what['tools'], what['setup']
        seed_random(0)
        module = Module('tools')
        module.__file__ = entry
        sys.modules['tools'] = module
        exec(compile(what['source'], entry, 'exec'), module.__dict__)
        space = vars(module)
        if what['class']:
            owner = space.get(what['class'])
            if not isinstance(owner, type):
                raise Wrong(f"there is no class {what['class']}, which arena.yaml names")
            if not opener and hasattr(owner, 'setup'):
                opener = 'setup'
            if opener and not hasattr(owner, opener):
                raise Wrong(f"the class {what['class']} has no method {opener}, which arena.yaml names as setup")
        found = []
        for name in names:
            f = getattr(owner, name, None) if owner is not None else space.get(name)
            if not callable(f):
                raise Wrong(missing(name, f))
            found.append(f)
        schemas = {}
        if what['describe']:
            describe = {}
            exec(what['describer'], describe)
            for name in what['describe']:
                schemas[name] = describe['schema'](found[names.index(name)], owner)
        tools = found
        fed.clear()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        out = b'=' + encode({
            'schemas': schemas,
            'setup': owner is not None or callable(space.get('setup')),
            'state': owner is not None or callable(space.get('state')),
        })
        fresh = True
    except Wrong as e:
        out = b'!' + str(e).encode() + b'\0'
    except BaseException as e:
        out = failure(e)
    return out


def missing(name, f):
    where = f'class {owner.__name__} has no method' if owner is not None else 'no function'
    if f is not None:
        return f'{where} {name} for the tool of that name in arena.yaml: {name} is a {type(f).__name__}'
    public = [k for k in (dir(owner) if owner is not None else vars(module)) if not k.startswith('_')]
    fold = lambda s: s.lower().replace('_', '')
    near = [k for k in public if fold(k) == fold(name)]
    hint = f'did you mean {near[0]}?' if near else f'write `def {name}(…):`'
    return f'{where} {name} for the tool of that name in arena.yaml: {hint}'


astra = Module('astra', 'What the tools of an arena can ask of their world.')
astra.seed = lambda: world_seed(cell, 0)[0]


def data(path):
    """The text of a file under data/."""
    with open('/data/' + path, encoding='utf-8') as f:
        return f.read()


astra.data = data
sys.modules['astra'] = astra
sys.path[:0] = ['/data']
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Log()
gc.collect()
nothing = ()
posix.write(1, ' '.join(str(id(x)) for x in (cell, nothing, types.FunctionType, feed, load, call, setup, state)).encode())
time.time()
