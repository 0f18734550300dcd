// The desk: at most one open record a row of the table it serves.

let records = {};

export function setup(scenario) {
  records = Object.fromEntries((scenario?.records ?? []).map((r) => [r.id, { ...r, status: "open" }]));
}

export function state() {
  return { records };
}

const desk = {
  record(id) {
    const record = records[id];
    if (!record) throw new Error(`There is no ${DESK.noun} ${id}. Find it by whom it is for.`);
    if (record.status !== "open") throw new Error(`The ${DESK.noun} ${id} is ${record.status}; nothing can be done with it any more.`);
    return record;
  },

  open(key) {
    return Object.values(records).find((r) => r.status === "open" && String(r[DESK.one]) === String(key));
  },

  free(key) {
    const row = DESK.table.row(key);
    const taken = this.open(key);
    if (taken) throw new Error(`There is an open ${DESK.noun} for "${key}" already: change that one, or cancel it first.`);
    return row[DESK.table.key];
  },

  date(date, host) {
    const earliest = host.now() + DESK.notice * 86400000;
    if (day(date) < earliest) throw new Error(`That is too early: it takes notice of ${DESK.notice} days. Choose a later date.`);
    return date;
  },

  find(key) {
    DESK.table.row(key);
    const record = this.open(key);
    if (!record) throw new Error(`There is no open ${DESK.noun} for "${key}".`);
    return record;
  },

  create({ [DESK.one]: key, quantity, date }, host) {
    const record = { id: "", [DESK.one]: this.free(key), quantity, date: this.date(date, host), status: "open" };
    record.id = fresh(`${key} ${quantity} ${date}`);
    records[record.id] = record;
    return record;
  },

  move({ id, date }, host) {
    const record = this.record(id);
    record.date = this.date(date, host);
    return record;
  },

  change({ id, quantity }) {
    const record = this.record(id);
    record.quantity = quantity;
    return record;
  },

  transfer({ id, [DESK.one]: key }) {
    const record = this.record(id);
    record[DESK.one] = this.free(key);
    return record;
  },

  cancel({ id }, host) {
    const record = this.record(id);
    if (day(record.date) < host.now() + DESK.notice * 86400000) throw new Error(`The ${DESK.noun} ${id} is due within ${DESK.notice} days and cannot be cancelled any more.`);
    record.status = "cancelled";
    return record;
  },
};

// fresh names a record by what it is; a second one like it gets a number.
function fresh(content) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < content.length; i++) hash = Math.imul(hash ^ content.charCodeAt(i), 0x01000193) >>> 0;
  const id = `${DESK.prefix}-${hash.toString(36).toUpperCase().padStart(7, "0")}`;
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? id : `${id}-${n}`;
    if (!(candidate in records)) return candidate;
  }
}
