// A small file system: folders and text files, kept in memory.
//
// A path is absolute, parts set apart by "/": "/letters/2025/offer.txt". "/" is the root.
// Where a task's files come from is in data/trees.json; a scenario names one of its trees,
// and may ask for log files, which are drawn from the seed.

const MAX_FILES = 500;
const MAX_TEXT = 20_000; // characters in one file

let trees; // parsed once, never changed
let files, folders; // the world of this episode: path -> text, and the set of paths

// setup makes the world. A scenario may set
//   tree: name of a tree in data/trees.json (default "office")
//   logs: how many servers keep a log in /logs (default 0)
// Whatever the seed, exactly one of the logs has a line that begins with ERROR, and
// exactly one other has a line that begins with WARN.
export function setup(scenario, host) {
  trees ??= JSON.parse(host.data("trees.json"));
  const { tree = "office", logs = 0 } = scenario ?? {};
  if (!trees[tree]) throw new Error(`data/trees.json has no tree ${tree}`);
  files = new Map();
  folders = new Set(["/"]);
  for (const [path, text] of Object.entries(trees[tree])) {
    const folder = path.endsWith("/") ? path.slice(0, -1) : parent(path);
    ensure(folder);
    if (!path.endsWith("/")) files.set(path, text);
  }
  if (logs > 0) writeLogs(host, logs);
}

// state is sorted, so that the order in which things were made does not show.
export function state() {
  return { folders: [...folders].sort(), files: Object.fromEntries([...files].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

// ---- reading

export function list_folder({ path }) {
  const at = folderAt(path);
  const entries = children(at).map((p) => entry(p));
  return { path: at, entries };
}

export function show_tree({ path = "/", depth = 8 }) {
  const at = folderAt(path);
  const lines = [];
  const walk = (folder, level) => {
    for (const p of children(folder)) {
      lines.push("  ".repeat(level) + name(p) + (folders.has(p) ? "/" : ""));
      if (folders.has(p) && level + 1 < depth) walk(p, level + 1);
    }
  };
  walk(at, 0);
  const below = [...files.keys()].filter((p) => inside(p, at));
  return { path: at, files: below.length, folders: [...folders].filter((p) => p !== at && inside(p, at)).length, tree: lines.join("\n") };
}

export function read_file({ path }) {
  const at = fileAt(path);
  const text = files.get(at);
  return { path: at, text, lines: lineCount(text), characters: text.length };
}

export function search_files({ under = "/", name: wanted, text }) {
  const at = folderAt(under);
  if (!wanted && !text) throw new Error("Say what to look for: a part of the file's name, a part of its text, or both.");
  const matches = [];
  for (const path of [...files.keys()].filter((p) => inside(p, at)).sort()) {
    if (wanted && !name(path).toLowerCase().includes(wanted.toLowerCase())) continue;
    const lines = files.get(path).split("\n");
    const line = text ? lines.findIndex((l) => l.toLowerCase().includes(text.toLowerCase())) : -1;
    if (text && line < 0) continue;
    matches.push({ path, line: line + 1, excerpt: line < 0 ? "" : lines[line].slice(0, 200) });
  }
  return { total: matches.length, matches: matches.slice(0, 50) };
}

// ---- writing

export function write_file({ path, text, overwrite = false }) {
  const at = clean(path);
  const kept = ended(text);
  room(at, kept);
  if (folders.has(at)) throw new Error(`${at} is a folder. Write to a file inside it, such as ${at === "/" ? "" : at}/notes.txt.`);
  folderAt(parent(at));
  if (files.has(at) && !overwrite) throw new Error(`${at} exists already. Set overwrite to replace its text, or choose another name.`);
  const created = !files.has(at);
  files.set(at, kept);
  return { path: at, created, lines: lineCount(kept) };
}

export function append_line({ path, line }) {
  const at = fileAt(path);
  const text = ended(files.get(at) + line);
  room(at, text);
  files.set(at, text);
  return { path: at, lines: lineCount(text) };
}

export function make_folder({ path }) {
  const at = clean(path);
  if (files.has(at)) throw new Error(`${at} is a file. Choose another name for the folder.`);
  const created = !folders.has(at);
  ensure(at);
  return { path: at, created };
}

export function move_entry({ from, to }) {
  const [source, target] = places(from, to);
  if (files.has(source)) {
    files.set(target, files.get(source));
    files.delete(source);
    return { from: source, to: target, files: 1 };
  }
  if (inside(target, source)) throw new Error(`${source} cannot be moved into itself. Choose a target outside it.`);
  const moved = [...files.keys()].filter((p) => inside(p, source));
  for (const p of moved) {
    files.set(target + p.slice(source.length), files.get(p));
    files.delete(p);
  }
  for (const p of [...folders].filter((f) => inside(f, source))) {
    folders.add(target + p.slice(source.length));
    folders.delete(p);
  }
  return { from: source, to: target, files: moved.length };
}

export function copy_file({ from, to }) {
  const [source, target] = places(from, to);
  if (folders.has(source)) throw new Error(`${source} is a folder; only files can be copied. Copy its files one by one.`);
  room(target, files.get(source));
  files.set(target, files.get(source));
  return { from: source, to: target };
}

export function delete_entry({ path }) {
  const at = clean(path);
  if (files.delete(at)) return { path: at, files: 1 };
  folderAt(at);
  if (at === "/") throw new Error("The root folder cannot be deleted. Delete what is in it instead.");
  if (children(at).length > 0) throw new Error(`${at} is not empty. Move or delete what is in it first.`);
  folders.delete(at);
  return { path: at, files: 0 };
}

// ---- logs

function writeLogs(host, count) {
  const servers = ["alder", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak"].slice(0, count);
  const error = between(host, 0, servers.length - 1);
  const warn = (error + between(host, 1, servers.length - 1)) % servers.length;
  ensure("/logs");
  servers.forEach((server, i) => {
    const lines = [];
    for (let n = between(host, 6, 12); n > 0; n--) lines.push(`INFO served ${between(host, 100, 999)} requests`);
    if (i === error) lines.splice(between(host, 1, lines.length - 1), 0, `ERROR payment ${between(host, 10000, 99999)} was declined twice`);
    if (i === warn) lines.splice(between(host, 1, lines.length - 1), 0, `WARN disk is ${between(host, 85, 98)} percent full`);
    files.set(`/logs/${server}.log`, `${lines.join("\n")}\n`);
  });
}

// ---- paths, and refusals with a way out

// clean makes a path absolute and plain, or says why it cannot be one.
function clean(path) {
  const parts = path.split("/").filter(Boolean);
  if (!path.startsWith("/")) throw new Error(`'${path}' does not begin with '/'. Give the whole path, such as /notes/todo.txt.`);
  if (parts.some((p) => p === "." || p === "..")) throw new Error("Paths have no '.' or '..' here. Give the whole path from the root.");
  return `/${parts.join("/")}`;
}

function folderAt(path) {
  const at = clean(path);
  if (files.has(at)) throw new Error(`${at} is a file, not a folder. Read it, or list the folder ${parent(at)}.`);
  if (!folders.has(at)) throw new Error(`There is no folder ${at}. Make it first, or look at the tree for the right path.`);
  return at;
}

function fileAt(path) {
  const at = clean(path);
  if (folders.has(at)) throw new Error(`${at} is a folder, not a file. List it to see the files inside.`);
  if (!files.has(at)) throw new Error(`There is no file ${at}. Search for its name, or look at the tree for the right path.`);
  return at;
}

// places checks both ends of a move or copy. An existing folder as target means: into it.
function places(from, to) {
  const source = clean(from);
  if (source === "/" || (!files.has(source) && !folders.has(source))) throw new Error(`There is nothing to take at ${source}. Look at the tree for the right path.`);
  let target = clean(to);
  if (folders.has(target)) target = `${target === "/" ? "" : target}/${name(source)}`;
  if (files.has(target) || folders.has(target)) throw new Error(`${target} exists already. Choose another name, or delete it first.`);
  folderAt(parent(target));
  return [source, target];
}

function room(path, text) {
  if (text.length > MAX_TEXT) throw new Error(`A file holds at most ${MAX_TEXT} characters, and this would be ${text.length}. Shorten it.`);
  if (!files.has(path) && files.size >= MAX_FILES) throw new Error(`There are ${MAX_FILES} files already, which is all that fits. Delete one first.`);
}

function ensure(folder) {
  if (folders.size > MAX_FILES) throw new Error(`There are ${MAX_FILES} folders already, which is all that fits. Delete one first.`);
  const missing = [];
  for (let at = folder; !folders.has(at); at = parent(at)) {
    if (files.has(at)) throw new Error(`${at} is a file, so nothing can lie inside it. Choose another path.`);
    missing.push(at);
  }
  missing.forEach((at) => folders.add(at));
}

// ---- small things

function parent(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function name(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

function inside(path, folder) {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

function children(folder) {
  return [...folders, ...files.keys()].filter((p) => p !== "/" && parent(p) === folder).sort();
}

function entry(path) {
  const isFolder = folders.has(path);
  return { name: name(path), path, kind: isFolder ? "folder" : "file", characters: isFolder ? 0 : files.get(path).length };
}

// ended makes a text end with exactly one line break, or be empty, so that two ways to write
// the same lines give the same file.
function ended(text) {
  const kept = text.replace(/\s+$/, "");
  return kept === "" ? "" : `${kept}\n`;
}

function lineCount(text) {
  return text.split("\n").length - 1;
}

function between(host, low, high) {
  return low + Math.floor(host.random() * (high - low + 1));
}
