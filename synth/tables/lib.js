// Tools over tables. A table's rows are lists of cells: null, text, number, boolean, or a
// list of texts. Whatever is asked for and not there is an error that says what to do.

class Table {
  // finds has the columns by whose texts rows are found; filters, by argument, a column and
  // how it is compared. What takes long is done here, once.
  constructor(file, one, key, title, finds, filters) {
    const { columns, rows } = JSON.parse(host.data(file));
    Object.assign(this, { columns, rows, one, key, title, filters });
    this.byKey = key < 0 ? new Map() : new Map(rows.map((row) => [String(row[key]), row]));
    this.texts = new Map(finds.map((c) => [c, index(rows, (row) => (row[c] === null ? [] : [row[c].toLowerCase()]))]));
    this.equal = new Map();
    for (const [column, how] of Object.values(filters)) {
      if (how === "is") this.equal.set(column, index(rows, (row) => (row[column] === null ? [] : [row[column]].flat().map(String))));
      if (how === "word") this.names = rows.map((row) => (row[column] === null ? "" : row[column].toLowerCase()));
    }
  }

  named(row) {
    const found = { [this.columns[this.key]]: row[this.key] };
    if (this.title >= 0) found.name = row[this.title];
    return found;
  }

  find(column, text, match = "whole") {
    const want = text.toLowerCase();
    const texts = this.texts.get(column);
    const found = match === "whole" ? texts.get(want) ?? [] : [...texts].filter(([t]) => t.startsWith(want)).flatMap(([, rows]) => rows);
    if (found.length === 0) throw new Error(`No ${this.one} is recorded with "${text}". Check the spelling; it must be whole.`);
    if (found.length > 1) throw new Error(`${found.length} of them fit "${text}". Give more of it, or find it another way.`);
    return this.named(found[0]);
  }

  row(key) {
    const row = this.byKey.get(String(key));
    if (!row) throw new Error(`There is no ${this.one} whose ${this.columns[this.key]} is "${key}".`);
    return row;
  }

  get(key, column, decimals) {
    const value = this.row(key)[column];
    if (value === null) throw new Error(`Nothing is recorded under ${this.columns[column]} for "${key}".`);
    return { [this.columns[column]]: decimals === undefined ? value : Number(value.toFixed(decimals)) };
  }

  // select keeps the rows that fit, in the order of the table.
  select(args) {
    const asked = Object.keys(args).filter((name) => this.filters[name]);
    if (asked.length === 0) throw new Error(`Say which are meant: give at least one of ${Object.keys(this.filters).join(", ")}.`);
    let rows = this.rows;
    for (const name of asked.sort((a, b) => this.cost(a) - this.cost(b))) rows = this.keep(rows, name, args[name]);
    return rows;
  }

  // cost orders filters: first those that look rows up.
  cost(name) {
    return ["is", "min", "max", "word"].indexOf(this.filters[name][1]);
  }

  keep(rows, name, want) {
    const [column, how] = this.filters[name];
    if (how === "is" && rows === this.rows) return this.equal.get(column).get(String(want)) ?? [];
    if (how === "word" && rows === this.rows) {
      const word = want.toLowerCase();
      return rows.filter((_, i) => this.names[i].includes(word));
    }
    return rows.filter((row) => fits(row[column], how, want));
  }

  list(args, limit = 1000) {
    const items = this.select(args).map((row) => row[this.key]);
    return { total: items.length, items: items.slice(0, limit) };
  }

  count(args) {
    return { count: this.select(args).length };
  }

  sorted(args, column, sign) {
    const rows = this.select(args).filter((row) => row[column] !== null);
    return rows.sort((a, b) => sign * compare(a[column], b[column]));
  }

  extreme(args, column, sign, rank = 1) {
    const row = this.sorted(args, column, sign)[rank - 1];
    if (!row) throw new Error("Fewer fit than that. Ask for less, or for a lower rank.");
    return { ...this.named(row), [this.columns[column]]: row[column] };
  }

  top(args, column, count) {
    const rows = this.sorted(args, column, -1);
    if (rows.length < count) throw new Error(`Only ${rows.length} fit. Ask for fewer.`);
    return { items: rows.slice(0, count).map((row) => row[this.key]) };
  }

  values(args, column) {
    const values = this.select(args).map((row) => row[column]).filter((v) => v !== null);
    if (values.length === 0) throw new Error("Nothing fits that has such a value. Ask for less.");
    return values;
  }

  total(args, column) {
    return { value: round6(add(this.values(args, column))) };
  }

  average(args, column) {
    const values = this.values(args, column);
    return { value: round6(add(values) / values.length) };
  }
}

// index has the rows by the texts that of gives for each.
function index(rows, of) {
  const found = new Map();
  for (const row of rows) {
    for (const text of of(row)) {
      const list = found.get(text);
      if (list) list.push(row);
      else found.set(text, [row]);
    }
  }
  return found;
}

function fits(cell, how, want) {
  if (cell === null) return false;
  if (how === "min") return compare(cell, want) >= 0;
  if (how === "max") return compare(cell, want) <= 0;
  if (how === "word") return String(cell).toLowerCase().includes(want.toLowerCase());
  return Array.isArray(cell) ? cell.includes(String(want)) : String(cell) === String(want);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function add(values) {
  let total = 0;
  for (const v of values) total += v;
  return total;
}

// round6 rounds halves away from zero, as the author does.
function round6(n) {
  return (Math.sign(n) * Math.round(Math.abs(n) * 1e6)) / 1e6;
}

function difference({ a, b }) {
  return { value: round6(a - b) };
}

function ratio({ a, b }, times) {
  if (b === 0) throw new Error("Nothing can be divided by 0.");
  return { value: round6((times * a) / b) };
}

function sum({ values }) {
  return { value: round6(add(values)) };
}

function rank({ items }) {
  return { ranking: [...items].sort((x, y) => y.value - x.value) };
}

function common({ lists }) {
  const [first, ...others] = lists;
  const items = first.filter((v, i) => first.indexOf(v) === i && others.every((list) => list.includes(v)));
  return { total: items.length, items };
}

function day(text) {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text) throw new Error(`"${text}" is no date; write one such as 2026-03-02.`);
  return at;
}

function days({ from, to }) {
  return { days: Math.round((day(to) - day(from)) / 86400000) };
}

function shift({ date, days }) {
  const at = day(date) + days * 86400000;
  return { date: new Date(at).toISOString().slice(0, 10) };
}

function convert({ value, from, to }, factors) {
  return { value: round6((value * factors[from]) / factors[to]) };
}
