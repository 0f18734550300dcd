let accounts = {};

export function setup(scenario) {
  accounts = { ada: 100, bob: 20, ...(scenario && scenario.accounts) };
}

function known(account) {
  if (!(account in accounts)) throw new RangeError(`there is no account ${account}; the accounts are ${Object.keys(accounts)}`);
  return account;
}

export function balance({ account }) {
  return { account: known(account), balance: accounts[account] };
}

export function deposit({ account, amount }) {
  accounts[known(account)] += amount;
  return { account, balance: accounts[account] };
}

export async function transfer({ from, to, amount }) {
  if (accounts[known(from)] < amount) throw new Error(`${from} has only ${accounts[from]}`);
  accounts[from] -= amount;
  accounts[known(to)] += amount;
  return { [from]: accounts[from], [to]: accounts[to] };
}

export function misbehave({ how }, host) {
  accounts.ada += 1;
  host.log("misbehaving", how);
  switch (how) {
    case "throw": throw new TypeError("as asked");
    case "loop": for (;;);
    case "hang": return new Promise(() => {});
    case "schema": return { fine: "perhaps" };
    case "size": return { fine: true, text: "x".repeat(10000) };
  }
  return { fine: true };
}

export function draw(_, host) {
  return { lucky: Math.floor(host.random() * 1e6), seed: host.seed, now: host.now() };
}

export function state() {
  return { accounts };
}
