// Tools over tables. A table's rows are lists of cells: null, text, number, boolean, or a
// list of texts. Whatever is asked for and not there is an error that says what to do.

class Table {
  constructor(file, one, key, title) {
    const { columns, rows } = JSON.parse(host.data(file));
    Object.assign(this, { columns, rows, one, key, title });
    this.byKey = key < 0 ? new Map() : new Map(rows.map((row) => [String(row[key]), row]));
  }

  named(row) {
    const found = { [this.columns[this.key]]: row[this.key] };
    if (this.title >= 0) found.name = row[this.title];
    return found;
  }

  find(column, text, match = "whole") {
    const want = text.toLowerCase();
    const fits = (cell) => (match === "start" ? cell.startsWith(want) : cell === want);
    const found = this.rows.filter((row) => row[column] !== null && fits(String(row[column]).toLowerCase()));
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

  // select keeps the rows that fit: filters has, by argument, a column and how it is compared.
  select(args, filters) {
    const asked = Object.keys(args).filter((name) => filters[name]);
    if (asked.length === 0) throw new Error(`Say which are meant: give at least one of ${Object.keys(filters).join(", ")}.`);
    return this.rows.filter((row) => asked.every((name) => fits(row[filters[name][0]], filters[name][1], args[name])));
  }

  list(args, filters, limit = 1000) {
    const items = this.select(args, filters).map((row) => row[this.key]);
    return { total: items.length, items: items.slice(0, limit) };
  }

  count(args, filters) {
    return { count: this.select(args, filters).length };
  }

  sorted(args, filters, column, sign) {
    const rows = this.select(args, filters).filter((row) => row[column] !== null);
    return rows.sort((a, b) => sign * compare(a[column], b[column]));
  }

  extreme(args, filters, column, sign, rank = 1) {
    const row = this.sorted(args, filters, column, sign)[rank - 1];
    if (!row) throw new Error("Fewer fit than that. Ask for less, or for a lower rank.");
    return { ...this.named(row), [this.columns[column]]: row[column] };
  }

  top(args, filters, column, count) {
    const rows = this.sorted(args, filters, column, -1);
    if (rows.length < count) throw new Error(`Only ${rows.length} fit. Ask for fewer.`);
    return { items: rows.slice(0, count).map((row) => row[this.key]) };
  }

  values(args, filters, column) {
    const values = this.select(args, filters).map((row) => row[column]).filter((v) => v !== null);
    if (values.length === 0) throw new Error("Nothing fits that has such a value. Ask for less.");
    return values;
  }

  total(args, filters, column) {
    return { value: round6(add(this.values(args, filters, column))) };
  }

  average(args, filters, column) {
    const values = this.values(args, filters, column);
    return { value: round6(add(values) / values.length) };
  }
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
