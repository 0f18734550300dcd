const ships = {
  "SH-4711": { name: "Amalia", cargo: 1830.5, berth: "North Quay" },
  "SH-5823": { name: "Borealis", cargo: 2941.25, berth: "East Quay" },
  "SH-6934": { name: "Cormoran", cargo: 752.75, berth: "Coal Pier" },
  "SH-7045": { name: "Dorothea", cargo: 4120, berth: "Long Pier" },
  "SH-8156": { name: "Estrella", cargo: 365.5, berth: "Fish Quay" },
};
const berths = [
  { berth: "North Quay", depth: 11.25, keeper: "Ines Okafor" },
  { berth: "East Quay", depth: 9.5, keeper: "Piet Larsen" },
  { berth: "Coal Pier", depth: 14.75, keeper: "Sun Mi Han" },
  { berth: "Long Pier", depth: 8.25, keeper: "Ada Novak" },
  { berth: "Fish Quay", depth: 6.5, keeper: "Jon Brandt" },
  { berth: "Mole", depth: 12.5, keeper: "Eva Lind" },
  { berth: "Basin", depth: 10.5, keeper: "Tom Reyes" },
];

let where;

export function setup() {
  where = Object.fromEntries(Object.entries(ships).map(([code, ship]) => [code, ship.berth]));
}

export function state() {
  return { where };
}

function known(code) {
  if (!Object.hasOwn(ships, code)) throw new Error(`No ship has the code ${code.slice(0, 20)}. Find it by its name first.`);
  return ships[code];
}

export function find_ship({ name }) {
  const code = Object.keys(ships).find((c) => ships[c].name === name);
  if (!code) throw new Error("No ship has this name.");
  return { code, name, berth: where[code] };
}

export function weigh_cargo({ ship, unit = "tonnes" }) {
  const { cargo } = known(ship);
  return { ship, weight: unit === "tonnes" ? cargo : Math.round(cargo * 2204.62), unit };
}

export function list_berths() {
  return { berths: berths.map(({ berth, depth }) => ({ berth, depth })) };
}

export function keeper_of({ berth }) {
  const found = berths.find((b) => b.berth === berth);
  if (!found) throw new Error("There is no such berth. List the berths to see them.");
  return { berth, keeper: found.keeper };
}

export function move_ship({ ship, berth }) {
  known(ship);
  if (!berths.some((b) => b.berth === berth)) throw new Error("There is no such berth. List the berths to see them.");
  if (Object.values(where).includes(berth)) throw new Error("A ship lies there. Choose a free berth.");
  where[ship] = berth;
  return { ship, berth };
}
