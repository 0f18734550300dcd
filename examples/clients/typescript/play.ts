// Plays one episode of astra with the MCP SDK for TypeScript.
//
//     npm ci
//     npm start                                          the built-in policy, on inventory/hinge-price
//     npm start -- ARENA TASK --call 'find_items {"query": "M8 bolt"}' --reply Done. --answer W3
//
// Two doors are used, as in training. Control, REST with a token, opens the episode, hands out
// its turns and scores it; it belongs to whoever runs the episodes. The agent's door, MCP, is an
// address that holds the episode's key, and all that an agent needs.
//
// Environment:
//     ASTRA_CONTROL  address of the control listener (default http://127.0.0.1:8081)
//     ASTRA_AGENTS   address of the agents' listener (default http://127.0.0.1:8080)
//     ASTRA_TOKEN    control token (default: what is in .astra/control.token)
//
// Exit status: 0 if the episode was scored, 1 if something failed, 2 if the arguments are wrong.
// Node runs this file as it is, from 22.18 on; there is nothing to compile.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

type Move = { tool: string; args: Record<string, unknown> } | { reply: string };
type Policy = (episode: Episode) => Promise<string>;
type Options = { arena: string; task: string; moves: Move[]; answer?: string; policy?: Policy };
type Opening = { episode: string; key: string; message: string };
type Turn = { message: string; done: boolean };
type Score = { reward: number; parts: { name: string; value: number }[] };

// Trouble is what went wrong, in words for whoever runs this.
class Trouble extends Error {}
class Usage extends Error {}

function address(variable: string, standard: string): string {
  const value = process.env[variable] || standard;
  return (value.includes("://") ? value : `http://${value}`).replace(/\/+$/, "");
}

function token(): string {
  if (process.env.ASTRA_TOKEN) return process.env.ASTRA_TOKEN.trim();
  try {
    return readFileSync(join(process.env.INIT_CWD ?? ".", ".astra/control.token"), "utf8").trim(); // npm start changes the directory
  } catch {
    throw new Trouble("there is no token: set ASTRA_TOKEN, or run this where astra keeps .astra");
  }
}

// control posts to the control side and returns its answer. Refusals are problem documents (RFC 9457).
async function control<T>(path: string, body: object): Promise<T> {
  const request = {
    method: "POST",
    headers: { Authorization: `Bearer ${token()}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  };
  const response = await fetch(address("ASTRA_CONTROL", "http://127.0.0.1:8081") + path, request).catch((e) => {
    throw new Trouble(`${path}: ${e.cause?.message || e.cause?.code || e.message}; is astra serving?`);
  });
  const answer = (await response.json().catch(() => ({}))) as T & { detail?: string; title?: string };
  if (!response.ok) throw new Trouble(`${path}: ${answer.detail || answer.title || `HTTP ${response.status}`}`);
  return answer;
}

// An Episode has its turns on the control side and its tools at the agent's door.
class Episode {
  readonly id: string;
  readonly client: Client;

  constructor(id: string, client: Client) {
    this.id = id;
    this.client = client;
  }

  // call calls a tool and returns its value. A tool that fails returns undefined: the agent may go on.
  async call(tool: string, args: Record<string, unknown>): Promise<unknown> {
    console.log(`call ${tool} ${JSON.stringify(args)}`);
    const result = await this.client.callTool({ name: tool, arguments: args });
    const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("");
    console.log(`  ${result.isError ? "failed: " : ""}${text}`);
    return result.isError ? undefined : result.structuredContent;
  }

  // reply closes the turn and prints the next message.
  async reply(text: string): Promise<void> {
    console.log(`reply ${text}`);
    const turn = await control<Turn>(`/v1/episodes/${this.id}/turns`, { reply: text });
    console.log(turn.done ? "no more turns" : `user ${turn.message}`);
  }
}

// priceOfAHinge is a policy for the task inventory/hinge-price; a model would stand here.
async function priceOfAHinge(episode: Episode): Promise<string> {
  const found = (await episode.call("find_items", { query: "brass hinge" })) as { items: { price: number }[] };
  return String(found.items[0].price);
}

async function play(options: Options): Promise<void> {
  const { arena, task } = options;
  const opening = await control<Opening>("/v1/episodes", { arena, task, mode: "train" });
  console.log(`task ${arena}/${task}`);
  console.log(`user ${opening.message}`);
  const door = new URL(`${address("ASTRA_AGENTS", "http://127.0.0.1:8080")}/episodes/${opening.key}/mcp`);
  const client = new Client({ name: "astra-example-client", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(door));
  const answer = await act(new Episode(opening.episode, client), options).finally(() => client.close());
  if (answer !== undefined) console.log(`answer ${answer}`);
  const { score } = await control<{ score: Score }>(`/v1/episodes/${opening.episode}/submit`, { answer });
  console.log(`reward ${score.reward.toFixed(4)}`);
  for (const part of score.parts) console.log(`  ${part.name} ${part.value.toFixed(4)}`);
}

async function act(episode: Episode, options: Options): Promise<string | undefined> {
  const { tools } = await episode.client.listTools();
  console.log(`tools ${tools.map((tool) => tool.name).join(", ")}`);
  if (options.policy) return options.policy(episode);
  for (const move of options.moves) {
    if ("reply" in move) await episode.reply(move.reply);
    else await episode.call(move.tool, move.args);
  }
  return options.answer;
}

// arguments_ keeps calls and replies in the order in which they were given.
function arguments_(): Options {
  const known = { call: { type: "string" }, reply: { type: "string" }, answer: { type: "string" } } as const;
  const moves: Move[] = [];
  const names: string[] = [];
  let answer: string | undefined;
  for (const token of parseArgs({ options: known, allowPositionals: true, tokens: true }).tokens) {
    if (token.kind === "positional") names.push(token.value);
    if (token.kind !== "option") continue;
    if (token.name === "call") moves.push(moveCall(token.value!));
    if (token.name === "reply") moves.push({ reply: token.value! });
    if (token.name === "answer") answer = token.value;
  }
  if (names.length === 0) return { arena: "inventory", task: "hinge-price", moves: [], policy: priceOfAHinge };
  if (names.length !== 2) throw new Usage("name an arena and one of its tasks, or nothing");
  return { arena: names[0], task: names[1], moves, answer };
}

function moveCall(text: string): Move {
  const [, tool, json] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  try {
    const args = JSON.parse(json || "{}");
    if (tool && args && typeof args === "object" && !Array.isArray(args)) return { tool, args };
  } catch {} // told below
  throw new Usage(`--call wants 'TOOL {JSON object}', not '${text}'`);
}

try {
  await play(arguments_());
} catch (e) {
  if (!(e instanceof Error)) throw e;
  const usage = e instanceof Usage || (e as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
  console.error(`play: ${e.message}`);
  process.exitCode = usage ? 2 : 1;
}
