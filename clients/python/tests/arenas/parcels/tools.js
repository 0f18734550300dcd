let sent = [];

export function setup() {
  sent = [];
}

export function send({ from, to, content, speed = "slow", note = "none" }) {
  const grams = content.reduce((sum, { grams = 1 }) => sum + grams, 0);
  sent.push({ from, to, speed });
  return { parcel: `P${sent.length}`, cost: grams * 0.00001, note };
}

export function find_parcel({ parcel }) {
  const found = sent[Number(parcel.slice(1)) - 1];
  if (!found) throw new RangeError(`there is no parcel ${parcel}`);
  return `between ${found.from} and ${found.to}: ${found.speed}`;
}

export function state() {
  return { sent };
}
