let balance = 0;

export function setup(scenario) {
  balance = scenario?.balance ?? 0;
}

export function add({ amount }) {
  balance += amount;
  return { balance };
}

export { show as balance };
function show() {
  return balance;
}

export function take({ amount }) {
  if (amount > balance) throw new Error(`There are only ${balance} in the account.`);
  balance -= amount;
  return { balance };
}

export function state() {
  return { balance };
}
