package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/mcp/upstream"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/synth/servers"
)

// toolSources are what tool documents are read from.
type toolSources struct {
	files   []string // mcp_servers.jsonl, stage files, servers.jsonl or its directory
	mcp     []string // [alias=]command or URL, or an alias of astra.yaml
	openapi []string // files
	arenas  []string
	domain  string // of what names none
	without []string
	opts    servers.Options

	names    servers.Names
	all      []servers.Server
	rejected []servers.Rejection
	behind   map[string]servers.Reach   // documents, by alias
	asked    map[string]upstream.Target // by --mcp, by alias
	opened   []*astra.Arena
}

func (t *toolSources) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&t.mcp, "mcp", nil, "`SERVER` that is asked for its tools: a command, a URL, either after alias=, or an alias of astra.yaml (repeatable)")
	f.StringArrayVar(&t.openapi, "openapi", nil, "`FILE` with an OpenAPI 3 document (repeatable)")
	f.StringArrayVar(&t.arenas, "arena", nil, "`ARENA` whose tools are taken (repeatable)")
	f.StringSliceVar(&t.without, "without", nil, "`TOOL`, or server/tool, that is left out (repeatable)")
	f.StringVar(&t.domain, "domain", "", "`DOMAIN` of servers whose documents name none")
	f.IntVar(&t.opts.MinTools, "min-tools", servers.DefaultMinTools, "tools that a server must have")
}

func (t *toolSources) empty() bool {
	return len(t.files)+len(t.mcp)+len(t.openapi)+len(t.arenas) == 0
}

// read reads all sources and filters what they hold. targets are the servers behind what was
// kept, by alias, as far as they are known; ${NAME} in them is a variable that is not filled
// in yet.
func (t *toolSources) read(ctx context.Context, a *app) (kept []servers.Server, rejected []servers.Rejection, targets map[string]upstream.Target, err error) {
	t.behind, t.asked = map[string]servers.Reach{}, map[string]upstream.Target{}
	for _, path := range t.files {
		if err := t.file(path); err != nil {
			return nil, nil, nil, err
		}
	}
	for _, path := range t.openapi {
		if err := t.document(path); err != nil {
			return nil, nil, nil, err
		}
	}
	if t.opened, err = a.findAll(t.arenas); err != nil {
		return nil, nil, nil, err
	}
	for _, arena := range t.opened {
		s := servers.FromArena(arena)
		s.Name = t.names.Take(s.Name)
		t.add(s)
	}
	if err := t.ask(ctx, a); err != nil {
		return nil, nil, nil, err
	}
	if err := t.leaveOut(); err != nil {
		return nil, nil, nil, err
	}
	kept, out := servers.Filter(t.all, &t.opts)
	return kept, append(t.rejected, out...), t.reached(kept, a), nil
}

// leaveOut takes out the tools that were not to be had. A name that none has is a slip.
func (t *toolSources) leaveOut() error {
	found := map[string]bool{}
	for i := range t.all {
		s := &t.all[i]
		s.Tools = slices.DeleteFunc(s.Tools, func(tool servers.Tool) bool {
			for _, name := range t.without {
				if name == tool.Name || name == tool.Original || name == s.Name+"/"+tool.Name {
					found[name] = true
					t.rejected = append(t.rejected, servers.Rejection{Server: s.Name, Tool: tool.Name, Reason: "left out", Detail: "--without " + name})
					return true
				}
			}
			return false
		})
	}
	for _, name := range t.without {
		if !found[name] {
			return failf("`astra synth tools import` lists those there are.", "--without %s: no such tool", plain(name))
		}
	}
	return nil
}

func (t *toolSources) add(s servers.Server) {
	s.Domain = cmp.Or(s.Domain, t.domain)
	t.all = append(t.all, s)
}

// file reads rows, or what an import wrote. A row that is none is a rejection, and keeps no
// other from coming in.
func (t *toolSources) file(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || filepath.Base(path) == servers.File {
		return t.collection(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for d, err := range servers.ReadPaper(path, f, &t.names) {
		if bad, ok := errors.AsType[*rows.RowError](err); ok {
			t.rejected = append(t.rejected, servers.Rejection{Server: fmt.Sprintf("%s:%d", bad.File, bad.Line), Reason: servers.Unreadable, Detail: bad.Msg})
			continue
		}
		if err != nil {
			return err
		}
		t.take(d)
	}
	return nil
}

// collection reads what an import wrote. Its names are kept where they are free.
func (t *toolSources) collection(path string) error {
	all, err := readCollection(path)
	for _, s := range all {
		s.Name = t.names.Take(s.Name)
		t.add(s)
	}
	return err
}

func (t *toolSources) take(d servers.Document) {
	t.rejected = append(t.rejected, d.Rejected...)
	if d.Reach != nil {
		t.behind[d.Server.Upstream] = *d.Reach
	}
	t.add(d.Server)
}

func (t *toolSources) document(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d, err := servers.ReadOpenAPI(b, &t.names)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t.take(d)
	return nil
}

// ask asks live servers for their tools.
func (t *toolSources) ask(ctx context.Context, a *app) error {
	var order []string
	for _, text := range t.mcp {
		alias, target, err := t.server(text, a)
		if err != nil {
			return err
		}
		order, t.asked[alias] = append(order, alias), target
	}
	if len(order) == 0 {
		return nil
	}
	rt, err := a.reaching(t.asked)
	if err != nil {
		return err
	}
	for _, alias := range order {
		tools, err := rt.Mirror(ctx, alias, false)
		if err != nil {
			return err
		}
		t.add(servers.FromTools(alias, alias, "", tools))
	}
	return nil
}

var aliased = regexp.MustCompile(`^([a-z][a-z0-9-]{0,63})=(.+)$`)

// server is what one --mcp means.
func (t *toolSources) server(text string, a *app) (alias string, target upstream.Target, err error) {
	if known, ok := a.config.Upstreams[text]; ok {
		if alias = t.names.Take(text); alias != text {
			return "", target, failf("", "the server %s is asked twice", text)
		}
		return alias, known, nil
	}
	given := text
	if m := aliased.FindStringSubmatch(text); m != nil {
		alias, given = m[1], m[2]
	}
	if strings.HasPrefix(given, "http://") || strings.HasPrefix(given, "https://") {
		target.URL = given
	} else if target.Command, target.Env, err = commandOf(given); err != nil || len(target.Command) == 0 {
		return "", target, failf("Write a command such as 'npx -y @modelcontextprotocol/server-everything', or a URL.", "--mcp %s: %w", plain(text), cmp.Or(err, errors.New("there is no command in it")))
	}
	taken := t.names.Take(cmp.Or(alias, called(target)))
	if alias != "" && alias != taken {
		return "", target, failf("", "the server %s comes twice", alias)
	}
	return taken, target, nil
}

var assigned = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// commandOf is a command line: words, of which those before the program set variables.
func commandOf(line string) (command []string, env map[string]string, err error) {
	words, err := shellWords(line)
	for err == nil && len(words) > 0 {
		m := assigned.FindStringSubmatch(words[0])
		if m == nil {
			break
		}
		if env == nil {
			env = map[string]string{}
		}
		env[m[1]], words = m[2], words[1:]
	}
	return words, env, err
}

// runners start what their first argument names.
var runners = []string{"npx", "bunx", "uvx", "pipx", "node", "bun", "deno", "python", "python3", "uv", "docker"}

var builds = []string{"dist", "build", "src", "bin", "index.js", "main.js", "index.ts", "main.py", "server.py"}

// called is what a server is called that was given no alias: the host of a URL, the package
// or program of a command.
func called(t upstream.Target) string {
	if u, err := url.Parse(t.URL); t.URL != "" && err == nil {
		return u.Hostname()
	}
	name := t.Command[0]
	if slices.Contains(runners, filepath.Base(name)) {
		for _, word := range t.Command[1:] {
			if word != "run" && !strings.HasPrefix(word, "-") {
				name = word
				break
			}
		}
	}
	parts := strings.Split(filepath.ToSlash(name), "/")
	for len(parts) > 1 && slices.Contains(builds, parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	name, _, _ = strings.Cut(parts[len(parts)-1], "@") // a version
	return name
}

// reached are the targets of the servers that were kept. What an operator says of an alias
// goes before what a document says, and a flag before both.
func (t *toolSources) reached(kept []servers.Server, a *app) map[string]upstream.Target {
	targets := map[string]upstream.Target{}
	for _, s := range kept {
		if r, ok := t.behind[s.Upstream]; ok {
			targets[s.Upstream] = upstream.Target{URL: r.URL, Headers: r.Headers}
		}
		for _, known := range []map[string]upstream.Target{a.config.Upstreams, t.asked} {
			if target, ok := known[s.Upstream]; ok {
				targets[s.Upstream] = target
			}
		}
	}
	return targets
}
