package astra_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/astra-arenas/astra"

// rooms lists which rooms of the house each may import besides itself; "" is the root package. A new edge is a design decision: argue it in DESIGN.md, then write it here.
var rooms = map[string][]string{
	"":                    {},
	"gateway":             {""},
	"gateway/runtimetest": {"", "gateway"},
	"gateway/certify":     {"", "gateway", "agent"},                         // its agents are ours, and play rehearsals
	"gateway/gatewaytest": {"", "gateway", "sandbox", "store", "verifiers"}, // for tests: no room may import it
	"sandbox":             {"", "gateway"},
	"verifiers":           {"", "gateway"},
	"store":               {"", "gateway"},
	"llm":                 {"", "gateway"},
	"mcp":                 {"", "gateway"},
	"httpapi":             {"", "gateway", "trainer/batches", "trainer/groups", "trainer/samples"}, // batches go out as JSON
	"httpapi/client":      {"", "gateway", "httpapi", "trainer/batches", "trainer/groups"},         // speaks the types that the server answers with
	"agent":               {"", "gateway"},
	"synth":               {""},
	"synth/tables":        {"", "synth"},
	"synth/ask":           {"", "llm", "synth"},
	"synth/questions":     {"", "gateway", "llm", "synth", "synth/ask"}, // asks models, and tries code in a runtime
	"synth/rows":          {"", "synth"},
	"synth/distractors":   {"", "synth"},
	"synth/servers":       {"", "synth", "synth/rows"}, // its files are rows too
	"synth/graph":         {"", "synth", "synth/servers"},
	"synth/neardup":       {}, // a leaf: tasks and conversations are both told apart by it
	"synth/scores":        {"", "llm", "synth", "synth/ask"},
	"synth/tasks":         {"", "llm", "synth", "synth/ask", "synth/graph", "synth/neardup", "synth/rows", "synth/servers"},
	"synth/trajectories":  {"", "gateway", "agent", "llm", "synth", "synth/ask", "synth/graph", "synth/scores", "synth/servers", "synth/tasks"}, // has agents play
	"trainer":             {"", "gateway"},
	"trainer/batches":     {"", "trainer/groups"},
	"trainer/groups":      {""},
	"trainer/sequences":   {},
	"trainer/samples":     {"", "trainer", "trainer/groups", "trainer/sequences"},
	"trainer/recorder":    {"", "trainer/sequences"}, // a door of agents, in front of the policy's server
	"trainer/tinker":      {"", "trainer/samples", "trainer/sequences"},
	"trainer/tiny":        {"", "trainer/tinker"}, // a server of the same protocol
	"trainer/ray":         {},
	"trainer/curves":      {},
	"trainer/render":      {"", "trainer/sequences"},
	"trainer/loop":        {"", "gateway", "trainer/tinker", "trainer/curves", "trainer/batches", "trainer/groups", "trainer/samples", "trainer/sequences"},
	"httpapi/harness":     {"", "gateway"}, // what faces share
	"httpapi/nemogym":     {"", "gateway", "httpapi/harness"},
	"httpapi/ors":         {"", "gateway", "httpapi/harness"},
	"httpapi/openenv":     {"", "gateway", "httpapi/harness"},
	"httpapi/atropos":     {"", "httpapi/harness", "trainer/batches", "trainer/groups", "trainer/samples", "trainer/sequences"},
	"trainer/datasets":    {"", "trainer", "trainer/sequences", "synth/neardup"},                              // knows trajectories, not the gateway; ATIF has tokens
	"trainer/exports":     {"", "trainer/datasets", "trainer/samples", "trainer/sequences", "trainer/tinker"}, // forms of what samples has; tinker's is a Datum
	"examples":            {},
	"cmd": {"", "gateway", "gateway/certify", "sandbox", "verifiers", "store", "llm", "mcp", "httpapi", "httpapi/client",
		"agent", "synth", "synth/ask", "synth/tables", "synth/questions", "synth/rows", "synth/distractors", "synth/servers", "synth/graph", "synth/neardup",
		"synth/tasks", "synth/scores", "synth/trajectories", "trainer", "trainer/batches", "trainer/datasets", "trainer/groups", "trainer/sequences", "trainer/samples", "trainer/recorder",
		"trainer/exports", "trainer/tinker", "trainer/tiny", "trainer/ray", "trainer/loop", "trainer/curves", "trainer/render", "httpapi/atropos", "httpapi/harness", "httpapi/nemogym", "httpapi/ors", "httpapi/openenv", "examples"},
}

// owners lists who may know each technology, by the prefix of its import path.
var owners = map[string][]string{
	"github.com/dgraph-io/badger":     {"store"},
	"github.com/tetratelabs/wazero":   {"sandbox"},
	"github.com/google/cel-go":        {"verifiers"},
	"github.com/mark3labs/mcp-go":     {"mcp", "agent", "cmd"},
	"github.com/labstack/echo":        {"httpapi", "cmd"},
	"github.com/prometheus":           {"httpapi", "cmd"},
	"github.com/coder/websocket":      {"httpapi/openenv", "cmd"},
	"github.com/openai/openai-go":     {"agent", "llm"},
	"github.com/spf13":                {"cmd"},
	"go.yaml.in/yaml":                 {"", "cmd", "synth/tables", "trainer/ray"},
	"github.com/parquet-go":           {"synth/tables", "trainer/datasets", "trainer/ray", "trainer/exports"},
	"gonum.org":                       {"trainer/tiny"},
	"google.golang.org/protobuf":      {"trainer/tinker", "trainer/curves"},
	"modernc.org/sqlite":              {"synth/tables"},
	"github.com/getkin/kin-openapi":   {"synth/servers"},
	"github.com/santhosh-tekuri":      {"", "agent"},
	"github.com/modelcontextprotocol": {}, // a peer of tests
	"github.com/rogpeppe/go-internal": {}, // of tests
}

// roomOf is the room that an import path of ours belongs to: the longest name in rooms
// that it begins with.
func roomOf(path string) (string, bool) {
	if path == module {
		return "", true
	}
	rest := strings.TrimPrefix(path, module+"/")
	for {
		if _, ok := rooms[rest]; ok {
			return rest, true
		}
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			return "", false
		}
		rest = rest[:i]
	}
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// Imports of tests are not held to this: tests use the real parts.
func TestLayout(t *testing.T) {
	for path, imports := range packages(t) {
		room, ok := roomOf(path)
		if !ok {
			t.Errorf("%s is in no room of the house: add it to DESIGN.md and to rooms", path)
			continue
		}
		for _, to := range imports {
			if reason := refuseEdge(room, to); reason != "" {
				t.Errorf("%s imports %s: %s", path, to, reason)
			}
		}
	}
}

func refuseEdge(room, to string) string {
	if ours(to) {
		next, known := roomOf(to)
		if known && (next == room || slices.Contains(rooms[room], next)) {
			return ""
		}
		return "a new edge between rooms; see STYLE.md, 1"
	}
	for prefix, who := range owners {
		if (to == prefix || strings.HasPrefix(to, prefix+"/")) && !slices.Contains(who, room) {
			return "only " + strings.Join(who, ", ") + " may know it"
		}
	}
	return ""
}

// packages maps each of our packages to what its own files import.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.ImportPath, "/node_modules/") { // some npm packages bring Go files
			found[p.ImportPath] = p.Imports
		}
	}
	if _, ok := found[module]; !ok || len(found) < 2 {
		t.Fatalf("go list found only %d packages", len(found))
	}
	return found
}

// The rule itself can fail.
func TestLayoutRefusesEdges(t *testing.T) {
	for _, test := range []struct{ room, to string }{
		{"", module + "/gateway"},
		{"gateway", module + "/store"},
		{"cmd", module + "/gateway/gatewaytest"},
		{"httpapi", module + "/mcp"},
		{"mcp", module + "/store/inner"},
		{"verifiers", module + "/nowhere"},
		{"gateway", "github.com/dgraph-io/badger/v4"},
		{"cmd", "github.com/tetratelabs/wazero/api"},
	} {
		if refuseEdge(test.room, test.to) == "" {
			t.Errorf("%q may import %s", test.room, test.to)
		}
	}
	for _, test := range []struct{ room, to string }{
		{"gateway", module}, {"sandbox", module + "/sandbox/fuel"}, {"cmd", module + "/store"}, {"store", "github.com/dgraph-io/badger/v4/options"}, {"mcp", "net/http"},
	} {
		if reason := refuseEdge(test.room, test.to); reason != "" {
			t.Errorf("%q may not import %s: %s", test.room, test.to, reason)
		}
	}
}
