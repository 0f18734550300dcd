import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { journey } from "./journey.mjs";

const client = new Client({ name: "v1", version: "1" });
await journey(client, new StreamableHTTPClientTransport(new URL(process.argv[2])));
