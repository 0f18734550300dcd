let signed = 0;

export function find(args) {
  if (args.word === "ghost") throw new RangeError("there is no ghost");
  return { given: Object.keys(args).sort() };
}

// Runs of white space of all kinds, which a client trims where they begin a piece.
export function text({ times }) {
  return "clause\u00a0 \u3000 條款\u2028 é 𝄞   \t\n".repeat(times);
}

function importFrom(args) {
  return args;
}
export { importFrom as import };

export function sign() {
  return { signed: ++signed };
}

export function state() {
  return { signed };
}
