// Package upstream runs the tools of arenas that mirror real MCP servers.
//
// An arena names its servers by alias; what an alias stands for is the operator's to say,
// and without his word only the arena's cassette answers. A call goes
//
//	instance → cassette → session → ear → the library's transport → process or HTTP
//
// and what comes back is read from the bytes, not from the library's types, which lose
// what they do not know: bounded while it arrives, rid of the operator's secrets, and held
// to the arena's limits.
//
// # Sessions
//
// An instance opens a session with a server at the first call that it has to pass on, and
// sends it first what the cassette answered so far, because the server may have state. A
// session that was sent calls and is gone (the episode was forked, or rested, or astra
// was restarted) can only be made again by sending them again, which the operator must
// allow; where the author says that the tools only read, nothing need be sent again.
//
// The handshake of the session era is tried first: with a server that has state, the
// session is what keeps one episode from the other.
//
// # Whose doing it is
//
// A server that answers, be it with an error, makes a step. A server that does not answer
// in time, dies, answers what is no answer, or offers other tools than those mirrored
// makes none: that is an error, which ends the episode as nobody's fault.
package upstream
