package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra/mcp/upstream"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/rows"
	"github.com/astra-arenas/astra/synth/servers"
)

func (a *app) synthToolsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tools", Short: "Collect tool documents, which trajectories are made from", Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.toolsImportCommand(), a.toolsShowCommand())
	return cmd
}

// What an import writes, besides servers.jsonl.
const (
	rejectedFile  = "rejected.jsonl"
	upstreamsFile = "upstreams.yaml"
)

func (a *app) toolsImportCommand() *cobra.Command {
	im := &toolImport{app: a}
	cmd := &cobra.Command{Use: "import [FILE…]", Short: "Read tool documents into one form, and say what is left out", Args: args(0, 1000, "files of tool documents"),
		Long: `Reads what tools there are: mcp_servers.jsonl and the stage files of the paper, live MCP
servers, OpenAPI 3 documents and arenas. DIR/servers.jsonl gets one server a line; a server
must have --min-tools tools whose descriptions say more than their names and which an arena
can have, and is taken once. DIR/rejected.jsonl says of all else why not.

A --mcp command is started without a shell, with PATH and HOME alone; one that needs more is
an alias of astra.yaml (astra help config), as is a URL that needs headers.

Where servers can be called, DIR/upstreams.yaml says how: it is used with --config, or
copied into astra.yaml. What may be a secret (values of headers, of a URL's query, long words
with digits in its path) is not kept: there is a variable instead, ${NAME}, and what to set it
to is told. {smithery_api_key} and {smithery_profile} become SMITHERY_API_KEY and
SMITHERY_PROFILE, {config_b64} a variable of each server. A command is kept as it was given.`,
		Example: `  astra synth tools import mcp_servers.jsonl --out tools
  astra synth tools import --mcp 'npx -y @modelcontextprotocol/server-everything' --mcp files='npx -y @modelcontextprotocol/server-filesystem /srv' --out tools
  astra synth tools import --openapi petstore.yaml --arena inventory --domain shops --out tools`}
	im.sources.flags(cmd.Flags())
	cmd.Flags().StringVarP(&im.out, "out", "o", "tools", "`DIR` that the documents are written to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		im.sources.files = args
		return im.run(cmd.Context())
	}
	return a.wantsJSON(cmd)
}

// A toolImport reads sources and writes a directory.
type toolImport struct {
	*app
	sources toolSources
	out     string
}

// imports is what an import tells, as JSON too.
type imports struct {
	Servers   []importedServer   `json:"servers"`
	Rejected  map[string]int     `json:"rejected"` // by reason
	Variables []servers.Variable `json:"variables"`
}

type importedServer struct {
	Name     string         `json:"name"`
	Tools    int            `json:"tools"`
	Chains   int            `json:"chains"`
	Domain   string         `json:"domain"`
	Language synth.Language `json:"language"`
	Upstream string         `json:"upstream"`
}

func (im *toolImport) run(ctx context.Context) error {
	if im.sources.empty() {
		return &problem{err: errors.New("name a FILE, or --mcp, --openapi or --arena"), code: 2}
	}
	if err := im.mayWrite(); err != nil {
		return err
	}
	kept, out, targets, err := im.sources.read(ctx, im.app)
	if err != nil {
		return err
	}
	told := imports{Servers: summaries(kept), Rejected: map[string]int{}, Variables: []servers.Variable{}}
	for _, r := range out {
		told.Rejected[r.Reason]++
	}
	text, variables, err := im.reaching(targets)
	if err != nil {
		return err
	}
	told.Variables = append(told.Variables, variables...)
	if err := im.write(kept, out, text); err != nil {
		return err
	}
	return im.tell(&told, out)
}

func (im *toolImport) mayWrite() error {
	entries, err := os.ReadDir(im.out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(im.out, servers.File)); err != nil {
		return failf("Name a directory that is empty or new with --out.", "%s is not empty, and no import of tools wrote it", im.out)
	}
	return nil
}

// A reachYAML is a target as astra.yaml has it.
type reachYAML struct {
	Command []string          `yaml:"command,omitempty,flow"`
	Env     map[string]string `yaml:"env,omitempty"`
	URL     string            `yaml:"url,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty"`
}

// referred is an env whose values may be secrets, as references to variables of the same
// name; a path in a session's own directory is none.
func referred(env map[string]string) (references map[string]string, named []servers.Variable) {
	for name, v := range env {
		if references == nil {
			references = map[string]string{}
		}
		if references[name] = v; !strings.Contains(v, "{scratch}") && !variable.MatchString(v) {
			references[name] = "${" + name + "}"
			named = append(named, servers.Variable{Name: name, Holds: "what --mcp set it to"})
		}
	}
	return references, named
}

// reaching is upstreams.yaml, with the variables in it: nil if no server is reached, but for
// those of astra.yaml.
func (im *toolImport) reaching(targets map[string]upstream.Target) (text []byte, variables []servers.Variable, err error) {
	written := map[string]reachYAML{}
	for _, alias := range slices.Sorted(maps.Keys(targets)) {
		t := targets[alias]
		behind, ok := im.sources.behind[alias]
		_, asked := im.sources.asked[alias]
		_, configured := im.config.Upstreams[alias]
		switch {
		case configured:
			continue
		case ok && !asked:
			variables = append(variables, behind.Variables...)
		case t.URL != "" && !variable.MatchString(t.URL): // else its operator has thought of secrets
			r, err := servers.NewReach(alias, t.URL, nil)
			if err != nil {
				return nil, nil, failf("", "--mcp %s: %w", alias, err)
			}
			t.URL, variables = r.URL, append(variables, r.Variables...)
		}
		env, named := referred(t.Env)
		variables = append(variables, named...)
		written[alias] = reachYAML{t.Command, env, t.URL, t.Headers}
	}
	slices.SortFunc(variables, func(a, b servers.Variable) int { return strings.Compare(a.Name, b.Name) })
	variables = slices.Compact(variables)
	if len(written) > 0 {
		text, err = yaml.Marshal(map[string]any{"upstreams": written})
	}
	return text, variables, err
}

func (im *toolImport) write(kept []servers.Server, out []servers.Rejection, upstreams []byte) error {
	var all, not bytes.Buffer
	if err := servers.Write(&all, kept); err != nil {
		return err
	}
	for i := range out {
		line, err := synth.JSON(&out[i])
		if err != nil {
			return err
		}
		not.Write(append(line, '\n'))
	}
	if err := os.MkdirAll(im.out, 0o777); err != nil {
		return err
	}
	path := filepath.Join(im.out, upstreamsFile)
	err := os.WriteFile(path, upstreams, 0o600) // a command may have a secret
	if upstreams == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err,
		os.WriteFile(filepath.Join(im.out, rejectedFile), not.Bytes(), 0o666),
		os.WriteFile(filepath.Join(im.out, servers.File), all.Bytes(), 0o666))
}

func (im *toolImport) tell(told *imports, out []servers.Rejection) error {
	for _, reason := range sortedReasons(told.Rejected) {
		first := out[slices.IndexFunc(out, func(r servers.Rejection) bool { return r.Reason == reason })]
		im.note("%6d  %s, such as %s: %s", told.Rejected[reason], reason, plain(strings.TrimSuffix(first.Server+"/"+first.Tool, "/")), clip(plain(first.Detail), 300))
	}
	for _, v := range told.Variables {
		im.note("set %s to %s", v.Name, plain(v.Holds))
	}
	err := im.list(told.Servers)
	if im.json {
		err = im.printJSON(told)
	}
	if err != nil {
		return err
	}
	if len(told.Servers) == 0 {
		return failf("The lines above say why; "+filepath.Join(im.out, rejectedFile)+" says it of each.", "no server is left")
	}
	tools := 0
	for _, s := range told.Servers {
		tools += s.Tools
	}
	im.note("%s of %s written to %s; %d left out", plural(tools, "tool"), plural(len(told.Servers), "server"), im.out, len(out))
	return nil
}

func summaries(all []servers.Server) []importedServer {
	list := []importedServer{}
	for _, s := range all {
		list = append(list, importedServer{s.Name, len(s.Tools), len(s.Chains), s.Domain, s.Language, s.Upstream})
	}
	return list
}

// list is the table of servers.
func (a *app) list(all []importedServer) error {
	if a.json || len(all) == 0 {
		return nil
	}
	t := newTable("server", "tools", "chains", "domain", "language", "upstream")
	for _, s := range all {
		t.row(s.Name, s.Tools, s.Chains, s.Domain, s.Language, s.Upstream)
	}
	return t.write(a.stdout)
}

func (a *app) toolsShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show DIR [SERVER]", Short: "List the servers of a collection, or the tools of one", Args: args(1, 2, "a directory that an import wrote, and a server of it"),
		Example: "  astra synth tools show tools\n  astra synth tools show tools files\n  astra synth tools show tools files --json | jq .tools[].input"}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		all, err := readCollection(args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			if a.json {
				return a.printJSON(summaries(all))
			}
			return a.list(summaries(all))
		}
		i := slices.IndexFunc(all, func(s servers.Server) bool { return s.Name == args[1] })
		if i < 0 {
			return failf("`astra synth tools show "+args[0]+"` lists them.", "there is no server %q", plain(args[1]))
		}
		return a.showServer(&all[i])
	}
	return a.wantsJSON(cmd)
}

func (a *app) showServer(s *servers.Server) error {
	if a.json {
		return a.printJSON(s)
	}
	t := newTable("tool", "description")
	for _, tool := range s.Tools {
		t.row(tool.Name, clip(tool.Description, 100))
	}
	return t.write(a.stdout)
}

// readCollection reads what an import wrote: a directory or its servers.jsonl.
func readCollection(path string) ([]servers.Server, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, servers.File)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := servers.Read(f)
	if bad, ok := errors.AsType[*rows.RowError](err); ok {
		bad.File = path
	}
	return all, err
}
