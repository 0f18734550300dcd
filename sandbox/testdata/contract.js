// Implements gateway/runtimetest's arena.
let sum = 0;
export function setup(scenario) { sum = scenario.total || 0; }
export function add({ n }) { return sum += n; }
export function total() { return sum; }
export function roll(args, host) { return host.random(); }
export function clock(args, host) { return host.now(); }
export function seed(args, host) { return host.seed; }
export function note({ text }, host) { host.log(text); }
export function echo({ value }) { return value; }
export function fail({ message }) { sum++; throw new Error(message); }
export function burn() { for (;;); }
export function hog() { for (const all = []; ;) all.push(new Uint8Array(1 << 16)); }
export function big({ bytes }) { return 'x'.repeat(bytes); }
export function state() { return { total: sum }; }
