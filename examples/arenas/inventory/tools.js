// The warehouses of a builders' merchant: stock, reservations, purchase orders and transfers.
//
// Catalogue, places and prices are fixed (data/); stock, reservations, reorder points and
// the orders already under way are drawn from the seed in setup. Tasks rely on what
// setup promises about every seed, so change those promises only together with tasks.jsonl.

let items, places; // parsed once, never changed
let warehouses, stock, orders, reservations, budget; // the world of this episode

const DEFAULTS = { warehouses: 4, orders: 4, budget: 20000 };

// setup makes the world; a scenario may set warehouses (2 to 8), orders and budget. Whatever the seed:
//   - each item has one home warehouse with at least 400 on hand; the others have 40 to 200;
//   - no two warehouses have the same number of one item available;
//   - each warehouse has one item of its own that is far below its reorder point (130 or
//     more missing); nothing else there misses more than 100;
//   - the orders under way arrive on different days.
export function setup(scenario, host) {
  items ??= JSON.parse(host.data("items.json"));
  places ??= JSON.parse(host.data("places.json"));
  const wanted = { ...DEFAULTS, ...scenario };
  warehouses = places.warehouses.slice(0, wanted.warehouses);
  budget = wanted.budget;
  stock = fill(host);
  reservations = {};
  orders = {};
  for (let i = 0; i < wanted.orders; i++) {
    const item = pick(host, items);
    const order = makeOrder(item, pick(host, warehouses).code, item.pack * between(host, 2, 8));
    order.arrives = workday(host.now(), 1 + 2 * i + between(host, 0, 1));
    orders[order.code] = order;
  }
}

// state keeps orders and reservations by their codes, so that the order in which they
// were made does not show.
export function state() {
  return { budget, stock, orders, reservations };
}

// ---- reading

export function find_items({ query = "", category }) {
  const words = query.toLowerCase().split(/[^a-z0-9.]+/).filter(Boolean);
  const found = items.filter((item) => {
    const text = `${item.sku} ${item.name} ${item.category}`.toLowerCase();
    return (!category || item.category === category) && words.every((word) => text.includes(word));
  });
  if (found.length === 0) {
    throw new Error("No item matches. Try fewer or shorter words, such as 'bolt' or 'cable', or only a category.");
  }
  return {
    total: found.length,
    items: found.map(({ supplier, ...rest }) => ({ ...rest, supplier: places.suppliers[supplier].name })),
  };
}

export function list_warehouses({ region }) {
  const found = warehouses.filter((w) => !region || w.region === region);
  if (found.length === 0) {
    const regions = [...new Set(warehouses.map((w) => w.region))].sort().join(", ");
    throw new Error(`No warehouse lies in the ${region}. There are warehouses in these regions: ${regions}.`);
  }
  return { warehouses: found };
}

export function get_stock({ sku }) {
  const item = itemOf(sku);
  const levels = warehouses.map((w) => ({ warehouse: w.code, city: w.city, ...level(w.code, sku) }));
  levels.sort((a, b) => b.available - a.available || (a.warehouse < b.warehouse ? -1 : 1));
  return { sku, name: item.name, total_available: levels.reduce((sum, l) => sum + l.available, 0), levels };
}

export function list_shortages({ warehouse, category }) {
  if (warehouse) warehouseOf(warehouse);
  const shortages = [];
  for (const w of warehouses) {
    for (const item of items) {
      const { available, reorder_point } = level(w.code, item.sku);
      const skip = (warehouse && w.code !== warehouse) || (category && item.category !== category);
      if (skip || available >= reorder_point) continue;
      const suggested = Math.ceil((2 * reorder_point - available) / item.pack) * item.pack;
      shortages.push({ warehouse: w.code, sku: item.sku, name: item.name, available, reorder_point, missing: reorder_point - available, suggested });
    }
  }
  shortages.sort((a, b) => b.missing - a.missing || (a.warehouse + a.sku < b.warehouse + b.sku ? -1 : 1));
  return { shortages };
}

export function quote_order({ sku, quantity }, host) {
  const item = itemOf(sku);
  wholePacks(item, quantity);
  const supplier = places.suppliers[item.supplier];
  return { sku, quantity, unit_price: item.price, ...price(item, quantity), supplier: supplier.name, arrives: workday(host.now(), supplier.lead_days) };
}

export function list_orders({ status, warehouse }) {
  if (warehouse) warehouseOf(warehouse);
  const found = Object.values(orders).filter((o) => (!status || o.status === status) && (!warehouse || o.warehouse === warehouse));
  found.sort((a, b) => (a.arrives + a.code < b.arrives + b.code ? -1 : 1));
  return { budget, orders: found };
}

// ---- writing

export function create_order({ sku, warehouse, quantity }, host) {
  const item = itemOf(sku);
  warehouseOf(warehouse);
  wholePacks(item, quantity);
  const order = makeOrder(item, warehouse, quantity);
  if (order.total > budget) {
    throw new Error(`The order would cost ${order.total.toFixed(2)}, but only ${budget.toFixed(2)} of the budget is left. Order less, or cancel another order first.`);
  }
  order.arrives = workday(host.now(), places.suppliers[item.supplier].lead_days);
  budget = cents(budget - order.total);
  orders[order.code] = order;
  return order;
}

export function cancel_order({ code }) {
  const order = orders[code];
  if (!order) throw new Error(`There is no order ${code}. List the orders to see their codes.`);
  if (order.status === "cancelled") throw new Error(`Order ${code} is cancelled already; nothing is left to do.`);
  order.status = "cancelled";
  budget = cents(budget + order.total);
  return { code, status: order.status, refunded: order.total, budget };
}

export function transfer_stock({ sku, from, to, quantity }) {
  itemOf(sku);
  warehouseOf(from);
  warehouseOf(to);
  if (from === to) throw new Error("A transfer needs two different warehouses.");
  take(sku, from, quantity);
  stock[from][sku].on_hand -= quantity;
  stock[to][sku].on_hand += quantity;
  return { sku, from, to, quantity, from_available: level(from, sku).available, to_available: level(to, sku).available };
}

export function reserve_stock({ sku, warehouse, quantity, customer }) {
  itemOf(sku);
  warehouseOf(warehouse);
  take(sku, warehouse, quantity);
  stock[warehouse][sku].reserved += quantity;
  const code = freshCode("RS", `${sku} ${warehouse} ${quantity} ${customer}`, reservations);
  reservations[code] = { code, sku, warehouse, quantity, customer };
  return { ...reservations[code], available: level(warehouse, sku).available };
}

// ---- the world

function fill(host) {
  const all = Object.fromEntries(warehouses.map((w) => [w.code, {}]));
  for (const item of items) {
    const home = pick(host, warehouses).code;
    const seen = new Set();
    for (const w of warehouses) {
      const on_hand = w.code === home ? between(host, 400, 800) : between(host, 40, 180);
      const one = { on_hand, reserved: Math.floor(on_hand * 0.2 * host.random()), reorder_point: between(host, 4, 10) * 10 };
      distinct(one, seen);
      all[w.code][item.sku] = one;
    }
  }
  for (const w of warehouses) starve(host, all, w.code);
  return all;
}

// starve makes one item short in a warehouse, one that is neither at home there nor short elsewhere.
function starve(host, all, code) {
  const plenty = (item) => warehouses.every((w) => all[w.code][item.sku].on_hand >= 40);
  const item = pick(host, items.filter((i) => plenty(i) && all[code][i.sku].on_hand < 400));
  const one = { on_hand: between(host, 3, 9), reserved: 0, reorder_point: between(host, 15, 19) * 10 };
  const others = warehouses.filter((w) => w.code !== code).map((w) => all[w.code][item.sku]);
  distinct(one, new Set(others.map((o) => o.on_hand - o.reserved)));
  all[code][item.sku] = one;
}

function distinct(one, seen) {
  while (seen.has(one.on_hand - one.reserved)) one.on_hand++;
  seen.add(one.on_hand - one.reserved);
}

function makeOrder(item, warehouse, quantity) {
  const code = freshCode("PO", `${item.sku} ${warehouse} ${quantity}`, orders);
  return { code, sku: item.sku, warehouse, quantity, total: price(item, quantity).total, status: "placed", arrives: "" };
}

function price(item, quantity) {
  const full = item.price * quantity;
  const discount = places.discounts.find((d) => full >= d.from);
  const discount_percent = discount ? discount.percent : 0;
  return { discount_percent, total: cents(full * (1 - discount_percent / 100)) };
}

function level(warehouse, sku) {
  const { on_hand, reserved, reorder_point } = stock[warehouse][sku];
  return { on_hand, reserved, available: on_hand - reserved, reorder_point };
}

// ---- refusals, each with a way out

function itemOf(sku) {
  const item = items.find((i) => i.sku === sku);
  if (!item) throw new Error(`There is no item ${sku}. Search the catalogue by name to learn its SKU.`);
  return item;
}

function warehouseOf(code) {
  const found = warehouses.find((w) => w.code === code);
  if (!found) throw new Error(`There is no warehouse ${code}. The warehouses are ${warehouses.map((w) => `${w.code} (${w.city})`).join(", ")}.`);
  return found;
}

function wholePacks(item, quantity) {
  if (quantity % item.pack === 0) return;
  const below = Math.floor(quantity / item.pack) * item.pack;
  const choice = below > 0 ? `${below} or ${below + item.pack}` : `${item.pack}`;
  throw new Error(`${item.sku} is sold in packs of ${item.pack}: order ${choice} instead of ${quantity}.`);
}

function take(sku, warehouse, quantity) {
  const { available } = level(warehouse, sku);
  if (quantity > available) {
    throw new Error(`Only ${available} of ${sku} are available in ${warehouse}. Take at most that many, or look at the stock of other warehouses.`);
  }
}

// ---- small things

// freshCode names a thing by what it is; a second equal one gets "-2".
function freshCode(prefix, content, taken) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < content.length; i++) hash = Math.imul(hash ^ content.charCodeAt(i), 0x01000193) >>> 0;
  const code = `${prefix}-${hash.toString(36).toUpperCase().padStart(7, "0")}`;
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? code : `${code}-${n}`;
    if (!(candidate in taken)) return candidate;
  }
}

function workday(ms, days) {
  const date = new Date(ms);
  while (days > 0) {
    date.setUTCDate(date.getUTCDate() + 1);
    if (date.getUTCDay() % 6 !== 0) days--;
  }
  return date.toISOString().slice(0, 10);
}

function cents(amount) {
  return Math.round(amount * 100) / 100;
}

function between(host, low, high) {
  return low + Math.floor(host.random() * (high - low + 1));
}

function pick(host, list) {
  return list[between(host, 0, list.length - 1)];
}
