let things = {};

export function setup(scenario) {
  things = { tea: 7, milk: 3, ...(scenario && scenario.things) };
}

function known(thing) {
  if (!(thing in things)) throw new RangeError(`there is no ${thing}`);
  return thing;
}

export function stock({ thing }) {
  return { thing: known(thing), left: things[thing] };
}

export function shelf({ thing }) {
  return "S" + known(thing).length;
}

export function all() {
  return Object.keys(things);
}

export function echo({ value }) {
  return value;
}

export function sell({ thing, count }, host) {
  host.log("CANARY-log");
  things[known(thing)] -= count;
  return things[thing];
}

export function state() {
  return { things };
}
