// The tools of the arena kitchen, in AssemblyScript. What astra calls and what it offers is
// in the documentation of package sandbox.

@external("astra", "log")
declare function hostLog(text: usize, length: usize): void;

// The world: an episode's copy of memory keeps it.
const pantry = new Map<string, f64>(); // grams

// Grams of one unit of volume of water, and what a cupful of other things weighs of that.
const volumes = new Map<string, f64>();
volumes.set("cup", 240);
volumes.set("tablespoon", 15);
volumes.set("teaspoon", 5);
const densities = new Map<string, f64>();
densities.set("water", 1);
densities.set("milk", 1.03);
densities.set("flour", 0.53);
densities.set("sugar", 0.85);
densities.set("oil", 0.92);

/** Grams of an amount, or a negative number: what went wrong is in problem. */
let problem = "";
function grams(what: string, amount: f64, unit: string): f64 {
  if (!densities.has(what)) {
    problem = "there is no " + what + " here; there are " + densities.keys().join(", ");
    return -1;
  }
  if (unit == "gram") return amount;
  if (unit == "ounce") return amount * 28.349523125;
  if (!volumes.has(unit)) {
    problem = "there is no unit " + unit + "; use gram, ounce, " + volumes.keys().join(", ");
    return -1;
  }
  return amount * volumes.get(unit) * densities.get(what);
}

function callTool(tool: string, args: Args): string {
  const what = args.text("what");
  const g = grams(what, args.number("amount"), args.text("unit"));
  if (g < 0) return failure(problem);
  if (tool == "weigh") return value('{"grams":' + g.toString() + "}");
  const left = (pantry.has(what) ? pantry.get(what) : 0) + (tool == "store" ? g : -g);
  if (left < 0) return failure("there are not so many grams of " + what + " in the pantry: " + (left + g).toString());
  pantry.set(what, left);
  log(tool + " " + what + " " + g.toString());
  return value('{"what":' + quote(what) + ',"grams_left":' + left.toString() + "}");
}

/** setup reads {"flour": 500, …}: grams in the pantry. */
function setUp(scenario: Args): string {
  const names = scenario.names();
  for (let i = 0; i < names.length; i++) pantry.set(names[i], scenario.number(names[i]));
  return value("null");
}

function state(): string {
  const names = pantry.keys().sort();
  let fields = "";
  for (let i = 0; i < names.length; i++) {
    fields += (i ? "," : "") + quote(names[i]) + ":" + pantry.get(names[i]).toString();
  }
  return value('{"pantry":{' + fields + "}}");
}

/** Args reads a flat JSON object of texts and numbers, which is all that these tools take. */
class Args {
  private fields: Map<string, string> = new Map();

  constructor(json: string) {
    let at = json.indexOf('"');
    while (at >= 0) {
      const end = json.indexOf('"', at + 1);
      const name = json.substring(at + 1, end);
      let from = json.indexOf(":", end) + 1;
      while (json.charCodeAt(from) == 0x20) from++;
      let to = from;
      if (json.charCodeAt(from) == 0x22) {
        to = json.indexOf('"', from + 1);
        this.fields.set(name, json.substring(from + 1, to));
      } else {
        while (to < json.length && json.charAt(to) != "," && json.charAt(to) != "}") to++;
        this.fields.set(name, json.substring(from, to));
      }
      at = json.indexOf('"', to + 1);
    }
  }

  names(): string[] { return this.fields.keys(); }
  text(name: string): string { return this.fields.has(name) ? this.fields.get(name) : ""; }
  number(name: string): f64 { return parseFloat(this.text(name)); }
}

function quote(s: string): string { return '"' + s.replaceAll("\\", "\\\\").replaceAll('"', '\\"') + '"'; }
function value(json: string): string { return '{"value":' + json + "}"; }
function failure(message: string): string { return '{"error":' + quote(message) + "}"; }

function log(line: string): void {
  const text = String.UTF8.encode(line);
  hostLog(changetype<usize>(text), text.byteLength);
}

// What the host calls.

let out = new ArrayBuffer(0);

function give(json: string): u64 {
  out = String.UTF8.encode(json);
  return ((changetype<usize>(out) as u64) << 32) | (out.byteLength as u64);
}

export function astra_alloc(size: usize): usize { return heap.alloc(size); }
export function astra_free(at: usize): void { heap.free(at); }
export function astra_call(tool: usize, toolLength: usize, args: usize, argsLength: usize): u64 {
  return give(callTool(String.UTF8.decodeUnsafe(tool, toolLength), new Args(String.UTF8.decodeUnsafe(args, argsLength))));
}
export function astra_setup(scenario: usize, length: usize): u64 {
  return give(setUp(new Args(String.UTF8.decodeUnsafe(scenario, length))));
}
export function astra_state(): u64 { return give(state()); }

/** Stands for the import that AssemblyScript would have for failed assertions. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
