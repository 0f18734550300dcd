// Package openenv has the endpoints of an OpenEnv environment server (openenv-core 0.3.0 and
// openenv 0.10.0: core/env_server, core/env_client.py, core/mcp_client.py) over our episodes,
// one environment for each arena: a client's base URL is http://host/openenv/{arena}, the arena
// by name or name@digest.
//
// A session is one environment, and plays one episode at a time. A WebSocket at /ws or /mcp has
// a session of its own, which ends with it; a session made over HTTP (openenv/session/create)
// is named by its id, and a WebSocket at /ws?session_id= plays in it. Reset opens an episode,
// and aborts the one before if it was not submitted, as does the end of a session, however it
// comes about: closed, lost, idle for too long, or this process going down. After kill -9 what
// was open ends when its time to live is up: nobody can come back to a WebSocket's session.
//
// Reset takes {split, index} or {task: id}. Without them a seed picks the task, seed modulo the
// number of tasks, of the split named, else of train, or of the next split if that is empty;
// without a seed it is the first. So a seed decides the task and nothing else: the world's seed
// is the task's. Whatever else is sent with reset is ignored, as there. A call before any reset
// plays in the task of a bare one: an OpenEnv environment can be called as soon as it is made,
// and clients that speak to /mcp alone never reset.
//
// OpenEnv has no verify. Two tools are added to an arena's: episode_submit ends the episode,
// and episode_turn, where a task has several messages, closes a turn and returns the next. The
// reward comes with the observation of the step that submits, and nowhere else: over /mcp the
// same call answers without. A repeat gets the same, and whatever comes after is answered as
// done and changes nothing. An episode that has no score, because it is invalid, aborted or
// expired, is an error with the code EXECUTION_ERROR that says so: neither a reward of 0 nor an
// observation that is done.
//
// Before reset, list_tools has all tools that a task of the arena may show, since some clients
// ask once for all episodes; after it, those in view. What a tool returned has the members that
// OpenEnv's own servers send and its clients take apart: content, data, is_error. A value sent
// bare would be mistaken where it has a member "data" of its own.
//
// Over HTTP, /reset and /step have no session: each request is an environment of its own, made
// and ended by it, as in OpenEnv's server. Their episodes are aborted before the answer, unless
// the step is the one that submits.
//
// /mcp has OpenEnv's methods. A request whose URL has session_id goes to the agents' door of
// that session's episode, which is real MCP of both eras. A session's id is its harness's: who
// has it may play at /ws too, and is told the reward there, so it is nothing for a model's text.
package openenv
