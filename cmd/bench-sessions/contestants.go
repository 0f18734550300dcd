package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/astra-arenas/astra/httpapi/client"
)

// A contestant is a kind of server, and how sessions speak with it.
type contestant struct {
	name  string
	start func(ctx context.Context, l *lab, dir string) (*host, error)
}

// A host is a running server with its door: session makes its i-th.
type host struct {
	*server
	addr    string // for who asks for nothing
	meter   *meter
	session func(i int) session
}

// A lab has what contestants are made of.
type lab struct {
	astra, python string // programs
	peers         string // scripts of the peers
	data          string // the catalogue that everyone serves
	arena         string // astra's arena over it
	catalogue     *catalogue
	dir           string // for what servers keep
}

var contestants = []contestant{
	{"astra OpenEnv", face(func(m *meter, addr string) func(int) session {
		return openEnvs(m, "http://"+addr+"/openenv/"+arenaName+"/ws")
	})},
	{"astra NeMo Gym", face(func(m *meter, addr string) func(int) session { return nemoGyms(m, addr, "/nemo-gym/"+arenaName) })},
	{"astra MCP", astraMCP},
	{"OpenEnv", peer("openenv_peer.py", func(m *meter, addr string) func(int) session { return openEnvs(m, "http://"+addr+"/ws") })},
	{"NeMo Gym", peer("nemo_peer.py", func(m *meter, addr string) func(int) session { return nemoGyms(m, addr, "") })},
	{"FastMCP", peer("fastmcp_peer.py", fastMCPs)},
}

func peer(script string, sessions func(m *meter, addr string) func(int) session) func(context.Context, *lab, string) (*host, error) {
	return func(ctx context.Context, l *lab, dir string) (*host, error) {
		addrs, err := freeAddrs(1)
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(addrs[0])
		sums := filepath.Join(dir, "stops")
		if err := clearStops(sums); err != nil {
			return nil, err
		}
		s, err := start(ctx, dir, []string{"ASTRA_BENCH_DATA=" + l.data, "ASTRA_BENCH_STOPS=" + sums}, addrs, l.python, filepath.Join(l.peers, script), port)
		if err != nil {
			return nil, err
		}
		s.stops = pythonStops(sums)
		m := &meter{}
		return &host{s, addrs[0], m, sessions(m, addrs[0])}, nil
	}
}

// face is astra by another framework's protocol.
func face(sessions func(m *meter, addr string) func(int) session) func(context.Context, *lab, string) (*host, error) {
	return func(ctx context.Context, l *lab, dir string) (*host, error) {
		s, addrs, err := l.serve(ctx, dir)
		if err != nil {
			return nil, err
		}
		m := &meter{}
		return &host{s, addrs[2], m, sessions(m, addrs[2])}, nil
	}
}

// harnessConns is how many connections the harness has that opens and ends episodes for agents.
const harnessConns = 256

func astraMCP(ctx context.Context, l *lab, dir string) (*host, error) {
	s, addrs, err := l.serve(ctx, dir)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(dir, "store", "control.token"))
	if err != nil {
		s.stop()
		return nil, err
	}
	m := &meter{}
	pool := &http.Transport{DialContext: m.dial, MaxConnsPerHost: harnessConns, MaxIdleConnsPerHost: harnessConns}
	control, err := client.New("http://"+addrs[1], strings.TrimSpace(string(token)), &http.Client{Transport: pool})
	if err != nil {
		s.stop()
		return nil, err
	}
	return &host{s, addrs[0], m, episodes(m, addrs[0], control)}, nil
}

// serve starts astra; addrs are those of its doors: agents, control, faces.
func (l *lab) serve(ctx context.Context, dir string) (s *server, addrs []string, err error) {
	if addrs, err = freeAddrs(3); err != nil {
		return nil, nil, err
	}
	s, err = start(ctx, dir, []string{"GODEBUG=gctrace=1"}, addrs, l.astra, "serve", "--dir", filepath.Join(dir, "store"), "--agents", addrs[0], "--control", addrs[1], "--faces", addrs[2], l.arena)
	if err == nil {
		s.stops = goStops(s.log())
	}
	return s, addrs, err
}

const arenaName = "inventory"

// taskOf names the n-th task of astra's arena.
func taskOf(n int) string { return fmt.Sprintf("look-up-%04d", n) }

// writeArena makes astra's arena: the example of that name, with so many tasks, each in a
// world of its own and with room for as many calls as are made.
func writeArena(example, dir string, tasks, calls int) error {
	if err := os.CopyFS(dir, os.DirFS(example)); err != nil {
		return err
	}
	var b strings.Builder
	for n := range tasks {
		fmt.Fprintf(&b, `{"id":%q,"split":"train","seed":%d,"turns":[{"prompt":"What does a 60 mm brass hinge cost?"}],`+
			`"subtasks":[{"id":"price","tool":"find_items","answer":2.35,"at":"/items/0/price"}],"gold":[[{"tool":"find_items","args":{"query":"brass hinge"}}]],"budget":{"calls":%d}}`+"\n", taskOf(n), n, calls)
	}
	return os.WriteFile(filepath.Join(dir, "tasks.jsonl"), []byte(b.String()), 0o644)
}
