// A client plays one episode at an agent's door and prints what it saw. The MCP client is
// handed in; both generations of the TypeScript SDK have the same methods.
export async function journey(client, transport) {
  await client.connect(transport);
  const seen = { instructions: client.getInstructions() ?? "" };
  seen.tools = (await client.listTools()).tools.map((t) => t.name);
  const call = async (name, args) => {
    const r = await client.callTool({ name, arguments: args });
    return { text: r.content[0].text, structured: r.structuredContent, failed: r.isError ?? false };
  };
  seen.stock = await call("stock", { thing: "tea" });
  seen.shelf = await call("shelf", { thing: "milk" });
  seen.all = await call("all", {});
  seen.gin = await call("stock", { thing: "gin" });
  seen.unknown = await client.callTool({ name: "no_such", arguments: {} }).then(() => "", (e) => String(e.code));
  seen.messages = (await client.getPrompt({ name: "messages" })).messages.map((m) => m.content.text);
  seen.episode = JSON.parse((await client.readResource({ uri: "astra://episode" })).contents[0].text).calls.length;
  await client.close();
  console.log(JSON.stringify(seen));
}
