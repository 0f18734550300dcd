// canary-code
let shelves = {};

export function setup(scenario) {
  shelves = { bolt: 5, nut: 7, ...(scenario && scenario.shelves) };
}

function known(item) {
  if (!(item in shelves)) throw new RangeError(`there is no ${item}`);
  return item;
}

export function stock({ item }, host) {
  host.log("looking at", item);
  return { item: known(item), left: shelves[item] };
}

export function order({ item, quantity }) {
  shelves[known(item)] += quantity;
  return { item, left: shelves[item] };
}

export function label({ item }) {
  return `<${known(item)}> & co`;
}

export function state() {
  return { shelves };
}
