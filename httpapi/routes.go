package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
)

// A route is one operation. Everything that depends on which operations there are is
// made of routes().
type route struct {
	method, path string // path parameters as {name}
	id, summary  string // of the operation
	handle       func(*api, echo.Context) error

	query     []param
	headers   []param
	body      any    // a value of the type of the JSON body; nil: none is read
	reply     any    // a value of the type of the JSON reply; nil: none
	status    int    // of success; 0 is 200
	bodyKind  string // media type of a body that is no JSON
	replyKind string // media type of a reply that is no JSON
	limit     int64  // bytes of body; 0 is smallBody
	slow      bool   // may take as long as slowLimit
	maybe     bool   // may have nothing to reply: 204
}

// A param is a query parameter or a header.
type param struct {
	name, about string
	schema      schema
}

// Sizes of bodies.
const (
	smallBody   = 1 << 20
	callBody    = 8 << 20 // a message at the agents' door, its arguments quoted; the gateway's own limit is tighter
	submitBody  = 8 << 20 // messages of a harness; the gateway's own limit is tighter
	maxArena    = 256 << 20
	noBody      = 0
	healthPath  = "/healthz"
	openapiPath = "/openapi.json"
)

func (r route) maxBody() int64 {
	switch {
	case r.limit > 0:
		return r.limit
	case r.body != nil:
		return smallBody
	}
	return noBody
}

var (
	splitParam = param{"split", "only tasks of this split", enum(astra.SplitTrain, astra.SplitValidation, astra.SplitTest)}
	arenaParam = param{"arena", "only episodes of this arena (its name)", text}
	taskParam  = param{"task", "only episodes of this task", text}
	groupParam = param{"group", "only episodes of this group", text}
	modeParam  = param{"mode", "only episodes of this mode", enum(modes...)}
	listParams = []param{arenaParam, taskParam, groupParam, modeParam,
		{"status", "only episodes of this status", enum(statuses...)},
		{"cursor", "next of the page before", text},
		{"limit", "episodes a page, at most 1000; default 50", schema{"type": "integer", "minimum": 1, "maximum": maxPage}}}
	exportParams = []param{arenaParam, taskParam, groupParam,
		{"min_reward", "only episodes with at least this reward", schema{"type": "number", "minimum": 0, "maximum": 1}}}
	samplesParams = []param{arenaParam, taskParam, groupParam,
		{"advantage", "what a reward is compared with; default std", enum(groups.Mean, groups.Normalised, groups.LeaveOneOut)}}
	atParam   = param{"at", "after this step, 0 being before the first; default the last", schema{"type": "integer", "minimum": 0}}
	keyHeader = param{idempotencyKey, "a repeat with this key and the same arguments answers with the recorded step", text}
)

// routes is the table of all operations.
func routes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: healthPath, id: "health", summary: "Say that the process answers; needs no token", handle: (*api).health, reply: statusReply{}},
		{method: get, path: "/readyz", id: "ready", summary: "Say whether episodes can be opened", handle: (*api).ready, reply: statusReply{}},
		{method: get, path: "/metrics", id: "metrics", summary: "Metrics for Prometheus", handle: (*api).showMetrics, replyKind: metricsText},
		{method: get, path: openapiPath, id: "openapi", summary: "This document", handle: (*api).showOpenAPI, reply: map[string]any{}},
		{method: get, path: "/v1/stats", id: "stats", summary: "Counters since the start", handle: (*api).stats, reply: gateway.Stats{}},
		{method: get, path: "/v1/capacity", id: "capacity", summary: "How many more episodes would be opened now, and what decides it", handle: (*api).capacity, reply: gateway.Capacity{}},

		{method: get, path: "/v1/arenas", id: "listArenas", summary: "List the newest version of each arena", handle: (*api).listArenas, reply: ArenasReply{}},
		{method: post, path: "/v1/arenas", id: "addArena", summary: "Check, keep and serve an arena", handle: (*api).addArena,
			bodyKind: arenaFile, limit: maxArena, reply: astra.PublicArena{}, status: http.StatusCreated, slow: true},
		{method: get, path: "/v1/arenas/{arena}", id: "getArena", summary: "Describe an arena, named name or name@digest", handle: (*api).getArena, reply: astra.PublicArena{}},
		{method: get, path: "/v1/arenas/{arena}/certificate", id: "getCertificate", summary: "What this store's owner found out about an arena; never what its bundle claims", handle: (*api).certificate,
			reply: astra.Certificate{}, slow: true},
		{method: get, path: "/v1/arenas/{arena}/tasks", id: "listTasks", summary: "List the tasks of an arena", handle: (*api).listTasks, query: []param{splitParam}, reply: TasksReply{}},
		{method: get, path: "/v1/arenas/{arena}/catalog", id: "getCatalog", summary: "What harnesses ask of an arena's tasks before they open one, with the tools that each begins with", handle: (*api).catalog,
			query: []param{splitParam}, reply: CatalogReply{}},
		{method: get, path: "/v1/arenas/{arena}/tasks/{task}", id: "getTask", summary: "Describe a task", handle: (*api).getTask, reply: astra.PublicTask{}},

		{method: post, path: "/v1/keys/resolve", id: "resolveKey", summary: "Find the episode of a key", handle: (*api).resolve, body: ResolveBody{}, reply: EpisodeReply{}},
		{method: post, path: "/v1/episodes", id: "openEpisode", summary: "Open an episode; the key is shown here only", handle: (*api).open,
			body: OpenBody{}, reply: gateway.Opening{}, status: http.StatusCreated},
		{method: get, path: "/v1/episodes", id: "listEpisodes", summary: "List episodes, newest first", handle: (*api).list, query: listParams, reply: astra.Page{}},
		{method: get, path: "/v1/episodes/{id}", id: "getEpisode", summary: "The record of an episode", handle: (*api).episode, reply: astra.Episode{}},
		{method: get, path: "/v1/episodes/{id}/task", id: "getEpisodeTask", summary: "The task of an episode, with the turns handed out so far", handle: (*api).public, reply: astra.PublicTask{}},
		{method: get, path: "/v1/episodes/{id}/tools", id: "listTools", summary: "The tools in view", handle: (*api).tools, reply: ToolsReply{}},
		{method: post, path: "/v1/episodes/{id}/calls", id: "callTool", summary: "Call a tool; a tool that fails is a step too", handle: (*api).call,
			headers: []param{keyHeader}, body: CallBody{}, limit: callBody, reply: astra.Step{}},
		{method: post, path: "/v1/episodes/{id}/turns", id: "closeTurn", summary: "Reply to the turn being played and get the next message", handle: (*api).turn, body: TurnBody{}, reply: gateway.NextTurn{}},
		{method: post, path: "/v1/episodes/{id}/submit", id: "submitEpisode", summary: "End the agent's part and score it", handle: (*api).submit, body: SubmitBody{}, limit: submitBody, reply: ScoreReply{}},
		{method: post, path: "/v1/episodes/{id}/fork", id: "forkEpisode", summary: "Make episodes that share the history up to a step", handle: (*api).fork,
			body: ForkBody{}, reply: ForkReply{}, status: http.StatusCreated, slow: true},
		{method: post, path: "/v1/episodes/{id}/rewind", id: "rewindEpisode", summary: "Take an episode up again after a step, as a fork; it stays as it is itself", handle: (*api).rewind,
			body: RewindBody{}, reply: gateway.Opening{}, status: http.StatusCreated, slow: true},
		{method: post, path: "/v1/episodes/{id}/abort", id: "abortEpisode", summary: "End an episode without a score", handle: (*api).abort, body: AbortBody{}, status: http.StatusNoContent},
		{method: post, path: "/v1/episodes/{id}/replay", id: "replayEpisode", summary: "Play the log again and compare byte for byte", handle: (*api).replay, reply: gateway.Replay{}, slow: true},
		{method: post, path: "/v1/episodes/{id}/rescore", id: "rescoreEpisode", summary: "Judge a scored episode again; the first score stays", handle: (*api).rescore, reply: astra.Score{}},
		{method: get, path: "/v1/episodes/{id}/score", id: "getScore", summary: "The score; an invalid episode has none, which is not 0", handle: (*api).score, reply: astra.Score{}},
		{method: get, path: "/v1/episodes/{id}/state", id: "getState", summary: "The state of the world after a step", handle: (*api).state, query: []param{atParam}, reply: gateway.State{}, slow: true},
		{method: get, path: "/v1/episodes/{id}/trajectory", id: "getTrajectory", summary: "The episode as chat messages and tools", handle: (*api).trajectory, reply: astra.Trajectory{}},

		{method: post, path: "/v1/batches/lease", id: "leaseBatch", summary: "Take the oldest batch that is ready, for a time; 204 if none is", handle: (*api).leaseBatch,
			body: LeaseBody{}, reply: BatchReply{}, maybe: true},
		{method: post, path: "/v1/batches/ack", id: "ackBatch", summary: "Say that the update of a batch was made", handle: (*api).ackBatch, body: LeasedBody{}, status: http.StatusNoContent},
		{method: post, path: "/v1/batches/nack", id: "nackBatch", summary: "Give a batch back", handle: (*api).nackBatch, body: LeasedBody{}, status: http.StatusNoContent},
		{method: post, path: "/v1/batches/extend", id: "extendBatch", summary: "Have a lease begin anew", handle: (*api).extendBatch, body: LeasedBody{}, status: http.StatusNoContent},
		{method: post, path: "/v1/batches/publish", id: "publishPolicy", summary: "Tell of a policy version; batches too far behind it are not handed out", handle: (*api).publishPolicy,
			body: PublishBody{}, status: http.StatusNoContent},
		{method: post, path: "/v1/batches/groups", id: "addGroup", summary: "Add a group, all of whose train episodes have ended, to what waits for a batch; a group of which this is done twice counts once", handle: (*api).addGroup,
			body: GroupBody{}, reply: GroupReply{}},
		{method: get, path: "/v1/batches/status", id: "batchStatus", summary: "Count batches", handle: (*api).batchStatus, reply: batches.Status{}},

		{method: get, path: "/v1/export/sft", id: "exportSFT", summary: "Scored train episodes as chat rows, oldest first", handle: (*api).exportSFT,
			query: exportParams, replyKind: jsonLines, slow: true},
		{method: get, path: "/v1/export/rl", id: "exportRL", summary: "Samples of the groups of train episodes, oldest group first, and what makes none", handle: (*api).exportRL,
			query: samplesParams, replyKind: jsonLines, slow: true},
	}
}
