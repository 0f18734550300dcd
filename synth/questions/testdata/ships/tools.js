const ships = { Aurora: { harbour: "Marstal", length: 42.5 }, Borealis: { harbour: "Rønne", length: 31.25 } };
const rates = { Marstal: 3.5, Rønne: 4.25 };
let looked = 0;

export function find_ship({ name }) {
  if (!ships[name]) throw new Error(`there is no ship ${name}`);
  looked++;
  return ships[name];
}

export function berth_fee({ harbour, length }) {
  if (looked === 0) throw new Error("find the ship first");
  if (!rates[harbour]) throw new Error(`there is no harbour ${harbour}`);
  return { fee: rates[harbour] * length };
}
