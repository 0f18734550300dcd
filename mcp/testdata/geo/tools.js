export function find_place({ name }) {
  return { name, CANARY: undefined };
}
