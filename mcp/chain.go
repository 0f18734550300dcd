package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// maxBody bounds one message, over HTTP and stdio. It is the limit that other MCP servers
// use; the library has none.
const maxBody = 4 << 20

// A party is who a request comes from.
type party struct {
	principal string          // owns sessions and, of explorers, episodes
	episode   astra.EpisodeID // of an agent, bound by its key
}

// A binder says who a request comes from and which door it is for. errNoDoor and
// errNoToken are answered with 404 and 401; any other error is ours.
type binder func(r *http.Request) (*door, party, error)

var (
	errNoDoor  = errors.New("no such door")
	errNoToken = errors.New("missing or wrong token")
)

// chain makes the handler through which every door is served, whoever is behind it.
func (s *Server) chain(bind binder) http.Handler {
	return s.recovered(s.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, p, err := bind(r)
		switch {
		case errors.Is(err, errNoDoor):
			http.NotFound(w, r)
		case errors.Is(err, errNoToken):
			w.Header().Set("WWW-Authenticate", `Bearer realm="astra"`)
			(&rpcError{status: http.StatusUnauthorized, Code: protocol.INVALID_REQUEST, Message: "send the explorer token as Authorization: Bearer"}).write(w, nil)
		case err != nil:
			s.log.ErrorContext(r.Context(), "door did not open", "error", err)
			internalError().write(w, nil)
		default:
			d.serve(w, r, p)
		}
	})))
}

func internalError() *rpcError {
	return &rpcError{status: http.StatusInternalServerError, Code: protocol.INTERNAL_ERROR, Message: "internal error"}
}

// recovered answers a panic with 500, once, and keeps the process.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.log.ErrorContext(r.Context(), "panic in handler", "panic", v, "stack", string(debug.Stack()))
			internalError().write(w, nil)
		}()
		next.ServeHTTP(w, r)
	})
}

// guarded refuses what a browser could be tricked into sending: a foreign Origin, and a
// Host that was rebound to our loopback address.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.originAllowed(r.Header.Get("Origin")):
			forbidden("Origin").write(w, nil)
		case !s.hostAllowed(r):
			forbidden("Host").write(w, nil)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func forbidden(header string) *rpcError {
	return &rpcError{status: http.StatusForbidden, Code: protocol.INVALID_REQUEST, Message: "this " + header + " is not allowed here"}
}

func (s *Server) originAllowed(origin string) bool {
	if origin == "" || slices.Contains(s.opts.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && loopback(u.Hostname())
}

func (s *Server) hostAllowed(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !loopback(hostOf(local.String())) {
		return true
	}
	host := hostOf(r.Host)
	return loopback(host) || slices.Contains(s.opts.Hosts, host)
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return strings.Trim(addr, "[]")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// A request is what the chain knows about one message while it is handled.
type request struct {
	party
	door    *door
	header  http.Header // nil over stdio
	reply   *reply      // nil over stdio
	process *session    // the stdio process; nil over HTTP
	body    []byte
	modern  bool       // of the era without sessions, if the library does not say so
	calling string     // the tool that tools/call names; "" for every other method
	instead substitute // set by a handler
}

type requestKey struct{}

func withRequest(ctx context.Context, q *request) context.Context {
	return context.WithValue(ctx, requestKey{}, q)
}

// requestFrom returns the request being handled; nil outside the chain (the sweeper).
func requestFrom(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// session is what remembers the last opened episode: the process, or a legacy session.
// It is nil for a client of the era without sessions.
func (q *request) session(ctx context.Context) *session {
	if q.process != nil {
		return q.process
	}
	if isModern(ctx) {
		return nil
	}
	return q.door.sessions.find(q.header.Get(server.HeaderKeySessionID), q.principal)
}

func (q *request) id() json.RawMessage {
	var m struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(q.body, &m) // it was parsed before
	return m.ID
}

// isModern reports whether the request being handled is of the era without sessions.
func isModern(ctx context.Context) bool {
	if q := requestFrom(ctx); q != nil && q.modern {
		return true
	}
	return server.IsModernRequest(ctx)
}

// A door is an MCP server and the transport that serves it.
type door struct {
	mcp      *server.MCPServer
	http     *server.StreamableHTTPServer
	sessions *sessions
	ttl      time.Duration   // of idle sessions
	direct   caller          // nil: every call is the library's
	meta     json.RawMessage // of results, where direct is set
	closed   chan struct{}
}

func (s *Server) newDoor(m *server.MCPServer) *door {
	d := &door{mcp: m, ttl: s.opts.SessionTTL, closed: make(chan struct{})}
	d.sessions = newSessions(d.dropSession)
	d.http = server.NewStreamableHTTPServer(m,
		server.WithSessionIdManagerResolver(d.sessions),
		server.WithSessionIdleTTL(s.opts.SessionTTL),
		server.WithStreamableHTTPLogger(s.transportLog))
	return d
}

// close ends every session and stream. It is called once.
func (d *door) close(ctx context.Context) error {
	close(d.closed)
	return d.http.Shutdown(ctx)
}

// whileOpen is the context of a request, which ends with the door if the request is for a
// stream: the library leaves subscriptions to their clients, and streams that begin late.
func (d *door) whileOpen(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc) {
	if r.Method != http.MethodGet && r.Header.Get(protocol.HeaderMethod) != string(protocol.MethodSubscriptionsListen) {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-d.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// serve handles one HTTP request of a known party.
func (d *door) serve(w http.ResponseWriter, r *http.Request, p party) {
	q := &request{party: p, door: d, header: r.Header}
	if r.Method == http.MethodPost {
		var err error
		if q.body, err = readBody(w, r); err != nil {
			unreadable(err).write(w, nil)
			return
		}
		if d.servePlain(w, r, q) {
			return
		}
		if cancelsOthers(q) {
			w.WriteHeader(http.StatusAccepted)
			return
		}
	} else if !d.mayUseSession(q) {
		http.Error(w, "Invalid session ID", http.StatusNotFound)
		return
	}
	if x := d.sessions.find(r.Header.Get(server.HeaderKeySessionID), q.principal); x != nil {
		x.pass(time.Now())
	}
	q.reply = newReply(w, q)
	ctx, cancel := d.whileOpen(withRequest(r.Context(), q), r)
	defer cancel()
	d.http.Handle(q.reply, &server.HTTPRequest{Method: r.Method, URL: r.URL, Header: r.Header, Body: q.body, Context: ctx})
	// The library registers a new session after its response, which the client may have
	// used to end it: then it would be kept for ever.
	if id := w.Header().Get(server.HeaderKeySessionID); id != "" && d.sessions.find(id, q.principal) == nil {
		d.dropSession(id, q.principal)
	}
}

// mayUseSession holds GET and DELETE to the caller's own sessions, which the library
// checks on POST only: a GET would otherwise listen in on anybody's session.
func (d *door) mayUseSession(q *request) bool {
	if protocol.IsModernProtocol(q.header.Get(protocol.HeaderProtocolVersion)) {
		return true // answered with 405: this era has no sessions
	}
	return d.sessions.find(q.header.Get(server.HeaderKeySessionID), q.principal) != nil
}

// dropSession makes the library forget a session that has ended here. It has no method for
// that but the request of its owner.
func (d *door) dropSession(id, owner string) {
	h := http.Header{}
	h.Set(server.HeaderKeySessionID, id)
	q := &request{party: party{principal: owner}, door: d, header: h}
	d.http.Handle(newReply(discard{http.Header{}}, q),
		&server.HTTPRequest{Method: http.MethodDelete, Header: h, Context: withRequest(context.Background(), q)})
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

const (
	// bodyTime is how long a message may take to come, on a server that sets no ReadTimeout.
	bodyTime = time.Minute
	// firstRead is the most that is made room for because a client says it will come.
	firstRead = 64 << 10
)

// readBody reads a message. The server lifts the deadline once it is there.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, firstRead)) + bytes.MinRead)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // a test's recorder has none
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	return buf.Bytes(), err
}

func unreadable(err error) *rpcError {
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &rpcError{status: http.StatusRequestEntityTooLarge, Code: protocol.INVALID_REQUEST, Message: tooLong.Error() + ": a message has at most 4 MiB"}
	}
	if errors.Is(err, astra.ErrFull) { // a listener may bound what comes at once
		return &rpcError{status: http.StatusServiceUnavailable, Code: protocol.INTERNAL_ERROR, Message: err.Error()}
	}
	return &rpcError{status: http.StatusBadRequest, Code: protocol.PARSE_ERROR, Message: "the body could not be read"}
}
