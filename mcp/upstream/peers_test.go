package upstream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

// peer is the command of an npm package, or skips the test.
func peer(t *testing.T, name string, args ...string) Target {
	t.Helper()
	if testing.Short() {
		t.Skip("short: starts Node")
	}
	command := []string{}
	for _, path := range []string{".bin/node", "@modelcontextprotocol/" + name + "/dist/index.js"} {
		path, err := filepath.Abs(repo("node_modules", path))
		must(t, err)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there: run npm ci", path)
		}
		command = append(command, path)
	}
	return Target{Command: append(command, args...)}
}

// mirrored is an arena over a peer with what it offers, as `astra record --mirror` makes it.
func mirrored(t *testing.T, opts *Options, alias string, names ...string) (*astra.Arena, []astra.Tool) {
	t.Helper()
	rt, err := New(opts)
	must(t, err)
	tools, err := rt.Mirror(t.Context(), alias, false)
	must(t, err)
	type tool struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Original    string          `json:"original"`
		Input       json.RawMessage `json:"input"`
		Output      json.RawMessage `json:"output,omitempty"`
	}
	var kept []tool
	for _, m := range tools {
		for _, name := range names {
			if m.Name == name {
				kept = append(kept, tool{m.Name, m.Description, m.Original, m.Input, m.Output})
			}
		}
	}
	if len(kept) != len(names) {
		t.Fatalf("%d of %v are offered: %v", len(kept), names, tools)
	}
	manifest, err := json.Marshal(map[string]any{"name": "peer", "version": "1.0.0", "runtime": "upstream", "upstreams": []any{map[string]string{"alias": alias}}, "tools": kept})
	must(t, err)
	return arenaOf(t, astra.File{Path: "arena.yaml", Data: manifest}), tools
}

func TestServerEverything(t *testing.T) {
	opts := targets("everything", peer(t, "server-everything", "stdio"))
	opts.Targets["everything"] = Target{Command: opts.Targets["everything"].Command, Env: map[string]string{"SECRET_OF_MINE": "hunter2-hunter2"}}
	a, tools := mirrored(t, opts, "everything", "get_sum", "echo", "get_env", "get_structured_content")
	w := newWorld(t, a, opts)
	w.want("echo", `{"message":"é <b>"}`, `"Echo: é <b>"`)
	w.want("get_sum", `{"a":2,"b":3}`, `"The sum of 2 and 3 is 5."`)
	if res := w.call("get_sum", `{"a":"two"}`); res.Fault != astra.FaultTool || !strings.Contains(res.Error, "nvalid") {
		t.Errorf("get_sum of a word = %+v", res)
	}
	if res := w.call("get_structured_content", `{"location":"New York"}`); a.Tool("get_structured_content").CheckResult(res.Value) != nil || !strings.HasPrefix(string(res.Value), `{"temperature":`) {
		t.Errorf("get_structured_content = %+v", res)
	}
	if res := w.call("get_env", `{}`); strings.Contains(string(res.Value), "hunter2") || !strings.Contains(string(res.Value), "SECRET_OF_MINE") || strings.Contains(string(res.Value), "GOPATH") {
		t.Errorf("get_env = %s", res.Value)
	}
	t.Logf("%d tools", len(tools))
}

func TestServerFilesystem(t *testing.T) {
	dir := t.TempDir()
	opts := targets("files", peer(t, "server-filesystem", dir))
	a, _ := mirrored(t, opts, "files", "write_file", "read_text_file", "list_directory")
	w := newWorld(t, a, opts)
	path, _ := json.Marshal(filepath.Join(dir, "note.txt"))
	if res := w.call("write_file", `{"path":`+string(path)+`,"content":"hello"}`); !res.OK() {
		t.Errorf("write_file: %+v", res)
	}
	if res := w.call("read_text_file", `{"path":`+string(path)+`}`); !strings.Contains(string(res.Value), "hello") {
		t.Errorf("read_text_file: %+v", res)
	}
	if res := w.call("read_text_file", `{"path":"/etc/passwd"}`); res.Fault != astra.FaultTool || !strings.Contains(res.Error, "outside allowed directories") {
		t.Errorf("what is outside: %+v", res)
	}
}
