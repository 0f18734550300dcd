// Package harness is what the doors for other frameworks' harnesses share, so that each of
// them is a wire format and little else: who may come in, which episode a session is, when a
// session that nobody uses ends, and the way to the agents' door.
//
// A session has an id, chosen by the harness or minted here. The key of its episode is made of
// that id and a secret of the store:
//
//	key = HMAC-SHA-256(secret, face, id), its first 128 bits
//
// So there is no table of sessions to keep: whoever has the id finds the episode, after kill -9
// as well, and an agent that has the key of its episode, with which it may call tools over MCP,
// cannot come by the id, with which the harness asks for the reward.
package harness
