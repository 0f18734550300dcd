// Package servers reads tool documents: what MCP servers, OpenAPI documents, arenas and the
// paper's mcp_servers.jsonl say that their tools are (ASTRA §2.1.1).
//
// All of them become one form, a [Server], kept one a line in servers.jsonl. [Filter] holds
// servers to the paper's rules (at least three tools, descriptions that say something,
// schemas that an arena can have, nothing twice) and says of each thing that it leaves out
// why. No header, key or URL of a server is kept in a document: how a server is reached is
// the operator's, and a document has an alias at most.
package servers
