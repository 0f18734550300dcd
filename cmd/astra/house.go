package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/httpapi/atropos"
	"github.com/astra-arenas/astra/mcp"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/trainer"
	"github.com/astra-arenas/astra/trainer/recorder"
	"github.com/astra-arenas/astra/trainer/samples"
	"github.com/astra-arenas/astra/verifiers"
)

// A house is a store that this process owns, all that is built on it, and its two doors.
type house struct {
	Agents, Control string // URLs
	Faces           string // URL; "" if there is no such door
	token           string
	store           *store.Store
	gateway         *gateway.Gateway
	recorder        *recorder.Recorder // of what the policy is asked
	handout         *handout           // of batches; nil if there is none
	atropos         *atropos.Server    // over the handout; nil without faces
	servers         errgroup.Group     // running until close
	undo            []func() error     // last first
}

// doorways says where the doors open.
type doorways struct {
	agents, control string          // addresses; port 0 is any
	faces           string          // address; "": none
	practice        bool            // explorers over HTTP
	batches         *handoutOptions // for trainers that take them; nil: none
}

// anywhere is where a command opens its doors that only it and its guests use.
var anywhere = doorways{agents: "127.0.0.1:0", control: "127.0.0.1:0"}

// own opens the store in dir, adds arenas to it and serves it. The error is a
// *store.OwnedError if another process does. Others learn of the doors when everything is there.
func (a *app) own(ctx context.Context, dir string, at doorways, arenas ...*astra.Arena) (*house, error) {
	st, err := store.Open(dir, &store.Options{Logger: a.logger()})
	if err != nil {
		return nil, err
	}
	h := &house{store: st, undo: []func() error{st.Close}}
	if err := a.furnish(ctx, h, st, dir, at, arenas); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// furnish puts everything on a store, opens the doors and says so.
func (a *app) furnish(ctx context.Context, h *house, st *store.Store, dir string, at doorways, arenas []*astra.Arena) error {
	gw, err := a.build(ctx, h, st)
	if err != nil {
		return err
	}
	if err := addAll(ctx, gw, arenas); err != nil {
		return err
	}
	if err := a.open(ctx, h, gw, dir, at); err != nil {
		return err
	}
	return st.Announce(store.Owner{PID: os.Getpid(), Control: h.Control, Agents: h.Agents, Faces: h.Faces, Token: h.token, Version: version()})
}

func addAll(ctx context.Context, gw *gateway.Gateway, arenas []*astra.Arena) error {
	for _, arena := range arenas {
		if _, err := gw.PublicArena(ctx, arena.Ref()); err == nil {
			continue
		}
		if _, err := gw.AddArena(ctx, arena.Bundle); err != nil {
			return located(arena.Name, err)
		}
	}
	return nil
}

// build puts runtimes, judge and gateway on a store.
func (a *app) build(ctx context.Context, h *house, st *store.Store) (*gateway.Gateway, error) {
	pool := sandbox.NewPool(nil)
	h.undo = append(h.undo, func() error { pool.Close(); return nil })
	runtimes, err := a.runtimes(ctx, h, pool)
	if err != nil {
		return nil, err
	}
	judge, err := verifiers.New()
	if err != nil {
		return nil, err
	}
	bounds := a.bounds(ctx, pool)
	gw, err := gateway.New(ctx, st, judge, runtimes, &bounds)
	if err != nil {
		return nil, err
	}
	h.undo = append(h.undo, gw.Close)
	h.gateway = gw
	return gw, nil
}

// runtimes are all that arenas may ask for. Those of the sandbox share one pool of memories.
func (a *app) runtimes(ctx context.Context, h *house, pool *sandbox.Pool) ([]gateway.Runtime, error) {
	opts := &sandbox.Options{Pool: pool, Python: a.config.Python}
	script, err := sandbox.NewJavaScript(ctx, opts)
	if errors.Is(err, sandbox.ErrNotBuilt) {
		return nil, failf("Run `make build` in astra's source directory; it fetches the engine from npm.", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	python, module := sandbox.NewPython(opts), sandbox.NewWASM(opts)
	h.undo = append(h.undo, script.Close, python.Close, module.Close)
	emulator, err := a.emulator()
	if err != nil {
		return nil, err
	}
	upstreams, err := a.upstreams()
	if err != nil {
		return nil, err
	}
	return []gateway.Runtime{script, python, module, emulator, upstreams}, nil
}

// open makes the doors and starts to serve them.
func (a *app) open(ctx context.Context, h *house, gw *gateway.Gateway, dir string, at doorways) (err error) {
	if h.token, err = token(dir, controlToken); err != nil {
		return err
	}
	explorers, err := token(dir, explorerToken)
	if err != nil {
		return err
	}
	doors, err := mcp.New(gw, &mcp.Options{Practice: at.practice, Token: explorers, Origins: a.config.Origins, Hosts: a.hosts(at),
		Version: version(), Logger: a.logger()})
	if err != nil {
		return err
	}
	gw.OnToolsAdded(doors.ToolsAdded)
	opts := httpapi.Options{Token: h.token, Hosts: a.hosts(at), Origins: a.config.Origins, SFT: trainer.SFT{Episodes: gw}.Export, Version: version(), Logger: a.logger()}
	if err := a.record(ctx, h, at, &opts); err != nil {
		return err
	}
	control, err := httpapi.New(gw, &opts)
	if err != nil {
		return err
	}
	agents := http.NewServeMux()
	agents.Handle("/episodes/{key}/v1/", h.recorder.Handler())
	agents.Handle("/episode/v1/", h.recorder.Handler())
	agents.Handle("/", doors.AgentHandler())
	agentServer := &http.Server{Handler: agents, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	if h.Agents, err = h.serve("agents", at.agents, agentServer); err != nil {
		return err
	}
	if h.Control, err = h.serve("control", at.control, httpapi.NewServer(control)); err != nil {
		return err
	}
	err = a.openFaces(h, gw, at, doors.AgentHandler())
	// Streams last until somebody ends them, so they end before any server waits for requests.
	h.undo = append(h.undo, func() error { return doors.Close(context.Background()) })
	return err
}

// record puts the recorder in front of the policy's server, if there is one, and has batches
// handed out, if they are.
func (a *app) record(ctx context.Context, h *house, at doorways, opts *httpapi.Options) (err error) {
	h.recorder = recorder.New(h.gateway, h.store, &recorder.Options{Logger: a.logger()})
	opts.RL = samples.Stock{Store: h.gateway, Recorder: h.recorder}.Export
	policy := a.policy()
	if policy.BaseURL != "" {
		if err := h.recorder.Serve(policy); err != nil {
			return failf("Set --policy-url to one such as http://localhost:8000/v1, and --policy-model to its name for the model.", "%w", err)
		}
	}
	if at.batches == nil {
		return nil
	}
	return a.handOut(ctx, h, at, policy, opts)
}

// handOut opens the queue of a house, and has it known to its doors.
func (a *app) handOut(ctx context.Context, h *house, at doorways, policy recorder.Policy, opts *httpapi.Options) (err error) {
	if h.handout, err = openHandout(ctx, h.store, at.batches, policy, h.recorder); err != nil {
		return err
	}
	opts.Batches, opts.Samples = h.handout, samples.Reader{Episodes: h.gateway, Recorder: h.recorder, Baseline: at.batches.baseline}
	if at.faces == "" {
		return nil
	}
	h.atropos, err = atropos.New(ctx, h.store, versioned{h.handout}, opts.Samples, a.gate(at), &atropos.Options{BatchSize: h.handout.size, Baseline: at.batches.baseline, Logger: a.logger()})
	opts.Samples = h.atropos // it knows the groups that were handed in there, too
	return err
}

// policy is the server that the settings name, as version 0.
func (a *app) policy() recorder.Policy {
	p := a.config.Policy
	key, _ := a.env("ASTRA_POLICY_KEY")
	return recorder.Policy{BaseURL: p.BaseURL, Model: p.Model, Key: key, Whole: p.Whole}
}

// shutdownGrace is how long requests may take to end when a house closes: a tool call at
// its wall clock, and a little more.
const shutdownGrace = 15 * time.Second

// serve starts a server and returns its URL.
func (h *house) serve(name, addr string, s *http.Server) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		remedy := "Choose an address of this machine with --" + name + "."
		if errors.Is(err, syscall.EADDRINUSE) {
			remedy = "Somebody listens there already, another process or another door of this one: choose another address with --" + name + "."
		}
		return "", failf(remedy, "%s listener: %w", name, err)
	}
	quiet := &unasked{conns: map[net.Conn]bool{}}
	s.ConnState = quiet.note
	s.RegisterOnShutdown(quiet.close)
	h.servers.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("%s listener: %w", name, err)
		}
		return nil
	})
	h.undo = append(h.undo, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("%s listener: %w", name, err), s.Close())
		}
		return nil
	})
	return "http://" + reachable(l.Addr().(*net.TCPAddr)), nil
}

// unasked are the connections on which nothing was asked yet. Browsers and Go's own client
// open some ahead of need, and Shutdown gives each five seconds to ask, which would be the
// most of what a short command takes.
type unasked struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (u *unasked) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		u.conns[c] = true
	} else {
		delete(u.conns, c)
	}
}

func (u *unasked) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		c.Close()
	}
}

// reachable is where this machine finds a listener: one on all addresses is on loopback too.
func reachable(addr *net.TCPAddr) string {
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// hosts are the names to answer to besides loopback's: those configured, and the addresses
// that the user chose to listen on.
func (a *app) hosts(at doorways) []string {
	hosts := slices.Clone(a.config.Hosts)
	for _, addr := range []string{at.agents, at.control, at.faces} {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// close takes the house down in the order opposite to building it. It may be called twice.
func (h *house) close() error {
	var errs []error
	for len(h.undo) > 0 {
		last := len(h.undo) - 1
		errs = append(errs, h.undo[last]())
		h.undo = h.undo[:last]
	}
	return errors.Join(append(errs, h.servers.Wait())...)
}
