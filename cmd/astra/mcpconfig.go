package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// A mcpClient is a program that people play with, and how it wants to be told of a server.
type mcpClient struct {
	name, file string
	http       bool // it can reach a server on this machine over HTTP
	config     func(s mcpServer) string
}

// mcpServer is what a snippet says: a command for stdio, or a URL.
type mcpServer struct {
	command string
	args    []string
	url     string // "" for stdio
}

// The shapes are those of each client's documentation (reference/mcp.md §6.1). A token is
// never part of a snippet, because these files are shared and committed: it is read
// from ASTRA_TOKEN, or asked for.
var mcpClients = []mcpClient{
	{"claude-code", ".mcp.json", true, func(s mcpServer) string {
		return asJSON(map[string]any{"mcpServers": map[string]any{"astra": s.entry("http", "${ASTRA_TOKEN}")}})
	}},
	{"claude-desktop", "claude_desktop_config.json (Settings › Developer › Edit Config)", false, func(s mcpServer) string {
		return asJSON(map[string]any{"mcpServers": map[string]any{"astra": s.entry("", "")}})
	}},
	{"vscode", ".vscode/mcp.json", true, func(s mcpServer) string {
		v := struct {
			Servers map[string]mcpEntry `json:"servers"`
			Inputs  []any               `json:"inputs,omitempty"`
		}{Servers: map[string]mcpEntry{"astra": s.entry("http", "${input:astra}")}}
		if s.url != "" {
			v.Inputs = []any{map[string]any{"type": "promptString", "id": "astra", "description": "astra's explorer token", "password": true}}
		}
		return asJSON(v)
	}},
	{"cursor", ".cursor/mcp.json or ~/.cursor/mcp.json", true, func(s mcpServer) string {
		return asJSON(map[string]any{"mcpServers": map[string]any{"astra": s.entry("", "${env:ASTRA_TOKEN}")}})
	}},
	{"codex", "~/.codex/config.toml", true, func(s mcpServer) string {
		if s.url != "" {
			return fmt.Sprintf("[mcp_servers.astra]\nurl = %s\nbearer_token_env_var = \"ASTRA_TOKEN\"\n", tomlString(s.url))
		}
		var list []string
		for _, a := range s.args {
			list = append(list, tomlString(a))
		}
		return fmt.Sprintf("[mcp_servers.astra]\ncommand = %s\nargs = [%s]\n", tomlString(s.command), strings.Join(list, ", "))
	}},
}

// A mcpEntry is a server in the form that most clients share.
type mcpEntry struct {
	Type    string            `json:"type,omitempty"`
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// entry describes the server; kind is the client's word for HTTP.
func (s mcpServer) entry(kind, token string) mcpEntry {
	if s.url == "" {
		return mcpEntry{Command: s.command, Args: s.args}
	}
	return mcpEntry{Type: kind, URL: s.url, Headers: map[string]string{"Authorization": "Bearer " + token}}
}

func asJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // maps and strings
	return b.String()
}

// tomlString quotes as JSON does, which TOML's basic strings take too.
func tomlString(s string) string { return strings.TrimSpace(asJSON(s)) }

func (a *app) mcpConfigCommand() *cobra.Command {
	name, arena, http := "", "", false
	cmd := &cobra.Command{Use: "mcp-config --client CLIENT", Short: "Print what an IDE needs to play in practice mode", Args: args(0, 0, ""),
		Long: `Prints a snippet for a client's configuration to standard output, and where it belongs to
standard error. By default the client starts ` + "`astra mcp`" + ` itself; with --http it uses a running
` + "`astra serve --practice`" + `, whose token it takes from ASTRA_TOKEN (DIR/explorer.token has it).`,
		Example: "  astra mcp-config --client claude-code > .mcp.json\n  astra mcp-config --client vscode --arena inventory --http"}
	flags := cmd.Flags()
	flags.StringVar(&name, "client", "", "`CLIENT`: "+strings.Join(clientNames(), ", "))
	flags.StringVar(&arena, "arena", "", "`ARENA` to play in (default the lobby, with all)")
	flags.BoolVar(&http, "http", false, "use a running server")
	a.settings(cmd, "agents")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		i := slices.IndexFunc(mcpClients, func(c mcpClient) bool { return c.name == name })
		if i < 0 {
			return &problem{err: fmt.Errorf("--client %q: want one of %s", name, strings.Join(clientNames(), ", ")), code: 2}
		}
		s, err := a.mcpServer(arena, http)
		if err != nil {
			return err
		}
		return a.printMCPConfig(mcpClients[i], s)
	}
	return cmd
}

func clientNames() []string {
	var names []string
	for _, c := range mcpClients {
		names = append(names, c.name)
	}
	return names
}

// mcpServer says how to reach us. Clients start in directories of their own, so all paths
// are made absolute.
func (a *app) mcpServer(arena string, http bool) (mcpServer, error) {
	if http {
		return a.mcpURL(arena)
	}
	exe, err := os.Executable()
	dir, err2 := filepath.Abs(a.config.Dir)
	args, err3 := a.arenaArgs(arena)
	return mcpServer{command: exe, args: append([]string{"mcp", "--dir", dir}, args...)}, errors.Join(err, err2, err3)
}

// mcpURL is where a running server on this machine has an arena; its door knows names alone.
func (a *app) mcpURL(arena string) (mcpServer, error) {
	host, port, err := net.SplitHostPort(a.config.Agents)
	if err != nil {
		return mcpServer{}, err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	base := "http://" + net.JoinHostPort(host, port)
	if arena == "" {
		return mcpServer{url: base + "/mcp"}, nil
	}
	found, err := a.findArena(arena)
	if err != nil {
		return mcpServer{}, err
	}
	if found != nil {
		arena = found.Name
	}
	return mcpServer{url: base + "/arenas/" + url.PathEscape(arena) + "/mcp"}, nil
}

// arenaArgs are what `astra mcp` must be told to find an arena, "" for all. One that was
// given by its path keeps it: it need not lie in the arena directories.
func (a *app) arenaArgs(arena string) (args []string, err error) {
	if arena != "" {
		found, err := a.findArena(arena)
		switch {
		case err != nil:
			return nil, err
		case found == nil:
			a.note("# no arena %q in %s: it must be in the store", arena, strings.Join(a.config.Arenas, ", "))
		case isArena(arena):
			if arena, err = filepath.Abs(arena); err != nil {
				return nil, err
			}
		}
		args = append(args, "--arena", arena)
	}
	paths, err := a.arenaPaths()
	if err != nil || len(paths) == 0 {
		return args, err
	}
	for _, d := range a.config.Arenas {
		abs, err := filepath.Abs(d)
		if err != nil {
			return nil, err
		}
		args = append(args, "--arenas", abs)
	}
	return args, nil
}

func (a *app) printMCPConfig(c mcpClient, s mcpServer) error {
	if s.url != "" && !c.http {
		return failf("Leave --http out: it starts `astra mcp` itself.", "%s reaches servers over HTTP only from its maker's cloud", c.name)
	}
	a.printf("%s", c.config(s))
	a.note("# for %s", c.file)
	if s.url != "" {
		a.note("# start `astra serve --practice`, and give the client ASTRA_TOKEN=$(cat %s)", a.tokenPath(explorerToken))
	}
	return nil
}
