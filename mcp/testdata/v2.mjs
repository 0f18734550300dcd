import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { journey } from "./journey.mjs";

const client = new Client({ name: "v2", version: "1" }, { versionNegotiation: { mode: process.argv[3] } });
await journey(client, new StreamableHTTPClientTransport(new URL(process.argv[2])));
