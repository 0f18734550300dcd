// Runs once, before any arena's code: makes the world that tools see. What it needs later
// it takes now, so that no tool can put something else in its place.
//
// cell is the block that the host writes: f64[3] seed, f64[4] now in ms since 1970,
// i32[10..13] the random generator's state, i32[14] whether there is an episode.
// send(op, text) asks the host: 0 logs text, 1 returns a file of data/ or undefined.
((send, cell) => {
  'use strict';
  const { stringify } = JSON;
  const { freeze, keys, defineProperty } = Object;
  const { construct } = Reflect;
  const S = String, E = Error, R = RangeError, T = TypeError, D = Date;
  const f64 = new Float64Array(cell, 0, 8), i32 = new Int32Array(cell, 0, 16);

  const live = (what) => {
    if (i32[14] === 0) throw new E(what + ' is not known while module code runs: use it in setup or in a tool');
  };

  // sfc32: small, fast and sound; the last word counts, so it never gets stuck.
  const next = () => {
    const t = (((i32[10] + i32[11]) | 0) + i32[13]) | 0;
    i32[13] = i32[13] + 1;
    i32[10] = i32[11] ^ (i32[11] >>> 9);
    i32[11] = i32[12] + (i32[12] << 3);
    i32[12] = ((i32[12] << 21) | (i32[12] >>> 11)) + t;
    return t >>> 0;
  };
  const random = () => {
    live('randomness');
    return ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
  };
  const now = () => {
    live('the clock');
    return f64[4];
  };

  const text = (v) => {
    if (typeof v === 'string') return v;
    if (v instanceof E) return S(v);
    if (typeof v === 'object' && v !== null) {
      try { return S(stringify(v)); } catch { return '[object that is no JSON]'; }
    }
    return S(v);
  };
  const log = (...parts) => {
    live('the log');
    let line = '';
    for (let i = 0; i < parts.length; i++) line += (i ? ' ' : '') + text(parts[i]);
    send(0, line + '\n');
  };
  const data = (path) => {
    if (typeof path !== 'string') throw new T('host.data takes the path of a file, as a string');
    const file = send(1, path);
    if (file === undefined) throw new R('no file ' + path + ' in data/');
    return file;
  };
  const host = freeze({
    get seed() { live('the seed'); return f64[3]; },
    random: freeze(random), now: freeze(now), data: freeze(data), log: freeze(log),
  });

  const hide = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
  hide(Math, 'random', random);
  hide(D, 'now', now);
  const date = new Proxy(D, {
    apply: () => new D(now()).toString(),
    construct: (target, args, self) => construct(target, args.length ? args : [now()], self),
  });
  hide(D.prototype, 'constructor', date);
  hide(globalThis, 'Date', date);
  hide(globalThis, 'performance', freeze({ now: () => now() - now(), get timeOrigin() { return now(); } }));
  hide(globalThis, 'console', freeze({ log, info: log, debug: log, warn: log, error: log }));
  defineProperty(globalThis, 'host', { value: host, enumerable: false });

  const slice = Function.prototype.call.bind(String.prototype.slice);
  const cut = (v) => slice(S(v), 0, 4000);

  // An exception as the host reads it: what it says, a NUL, where it came from.
  const explain = (e) => {
    try {
      if (!(e instanceof E)) return cut(typeof e === 'object' && e !== null ? stringify(e) : e) + '\0';
      const name = cut(e.name), message = cut(e.message);
      return (message ? name + ': ' + message : name) + '\0' + cut(e.stack || '');
    } catch {
      return 'an exception that cannot be read\0';
    }
  };
  const functions = (namespace) => {
    const names = keys(namespace);
    let list = '';
    for (let i = 0; i < names.length; i++)
      if (typeof namespace[names[i]] === 'function') list += (list && ',') + names[i];
    return list;
  };
  return [host, explain, functions];
})
