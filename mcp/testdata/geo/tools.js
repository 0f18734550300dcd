export function find_place({ name }) {
  return { name, CANARY: undefined };
}

export function near({ name }) {
  return { near: name };
}
