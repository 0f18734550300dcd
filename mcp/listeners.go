package mcp

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// listeners are the streams that agents keep open for notifications: legacy sessions, and
// subscriptions/listen. The library can only tell all clients of a server, which here are
// the agents of many episodes.
type listeners struct {
	mu        sync.Mutex
	byEpisode map[astra.EpisodeID]map[server.ClientSession]*session // nil for a subscription
	episodeOf map[server.ClientSession]astra.EpisodeID
}

func newListeners() *listeners {
	return &listeners{
		byEpisode: map[astra.EpisodeID]map[server.ClientSession]*session{},
		episodeOf: map[server.ClientSession]astra.EpisodeID{},
	}
}

func (l *listeners) add(id astra.EpisodeID, s server.ClientSession, in *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byEpisode[id] == nil {
		l.byEpisode[id] = map[server.ClientSession]*session{}
	}
	l.byEpisode[id][s], l.episodeOf[s] = in, id
}

func (l *listeners) remove(s server.ClientSession) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.episodeOf[s]
	delete(l.episodeOf, s)
	delete(l.byEpisode[id], s)
	if len(l.byEpisode[id]) == 0 {
		delete(l.byEpisode, id)
	}
}

func (l *listeners) of(id astra.EpisodeID) map[server.ClientSession]*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.byEpisode[id])
}

// ToolsAdded tells the agent of an episode that its list of tools has grown. The gateway
// calls it after a turn. A client that is not listening sees the tools when it lists them:
// lists may not be cached.
func (s *Server) ToolsAdded(id astra.EpisodeID) {
	n := protocol.JSONRPCNotification{JSONRPC: protocol.JSONRPC_VERSION,
		Notification: protocol.Notification{Method: protocol.MethodNotificationToolsListChanged}}
	for to, in := range s.listeners.of(id) {
		if !wantsTools(to) {
			continue
		}
		if err := send(to, n); err != nil {
			s.log.Warn("list_changed not sent", "episode", id, "error", err)
		}
		if in != nil {
			in.pass(time.Time{}) // its next call must go through the library, which brings it
		}
	}
}

// wantsTools reports whether a stream takes list_changed. Before 2026-07-28 all do.
func wantsTools(to server.ClientSession) bool {
	filtered, ok := to.(server.SessionWithSubscriptionFilter)
	if !ok {
		return true
	}
	filter, active := filtered.SubscriptionFilter()
	return !active || filter.ToolsListChanged
}

// listen makes the streams of an agents' server known while they last.
func (s *Server) listen(hooks *server.Hooks) {
	hooks.AddOnRegisterSession(func(ctx context.Context, to server.ClientSession) {
		if q := requestFrom(ctx); q != nil {
			s.listeners.add(q.episode, to, q.door.sessions.find(to.SessionID(), q.principal))
		}
	})
	hooks.AddOnUnregisterSession(func(_ context.Context, to server.ClientSession) { s.listeners.remove(to) })
	hooks.AddBeforeSubscriptionsListen(func(ctx context.Context, _ any, _ *protocol.SubscriptionsListenRequest) {
		q, to := requestFrom(ctx), server.ClientSessionFromContext(ctx)
		s.listeners.add(q.episode, to, nil)
		context.AfterFunc(ctx, func() { s.listeners.remove(to) })
	})
}
