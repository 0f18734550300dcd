package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra/mcp/upstream"
)

const upstreamsHelp = `
  upstreams  is set in astra.yaml alone: what the aliases that arenas name stand for.

    upstreams:
      files: {command: [npx, -y, "@modelcontextprotocol/server-filesystem", /srv/files]}
      search:
        url: https://search.example.com/mcp
        headers: {Authorization: "Bearer ${SEARCH_TOKEN}"}
        policy: cassette-first     # or cassette-only, or live
        resend: true               # sending calls again does no harm

      notes: {command: [npx, -y, "@modelcontextprotocol/server-filesystem", "{scratch}"], scratch: ./notes}

  A command gets PATH, HOME and its env, and nothing else. Where it or its env has {scratch},
  each episode has a directory of its own, a copy of scratch, that agents know as /scratch. ${NAME} in env, headers and url
  is a variable of astra's environment. What env and headers say is kept out of everything
  that astra keeps or shows.
`

// readUpstreams takes the setting that is no flat list.
func (a *app) readUpstreams(path string, key, value *yaml.Node) error {
	if value.Kind != yaml.MappingNode {
		return yamlError(path, key, "upstreams: want aliases, and what each stands for")
	}
	if named, _ := a.env("ASTRA_CONFIG"); a.configPath == "" && named == "" && insideBundle(filepath.Dir(path)) {
		return failf("Name the file with --config if you trust it, or go elsewhere.", "%s:%d: upstreams are not read from inside an arena, which could start anything so", path, key.Line)
	}
	a.config.Upstreams = map[string]upstream.Target{}
	return eachPair(path, value, func(alias, n *yaml.Node) (err error) {
		if n.Kind != yaml.MappingNode {
			return yamlError(path, alias, "upstreams.%s: want a command or a url, such as {url: https://example.com/mcp}", alias.Value)
		}
		a.config.Upstreams[alias.Value], err = readTarget(path, alias.Value, n)
		return err
	})
}

// insideBundle reports whether a directory is an arena's, or in one.
func insideBundle(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if isArena(dir) {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return err != nil
}

func readTarget(path, alias string, n *yaml.Node) (upstream.Target, error) {
	t := upstream.Target{Dir: filepath.Dir(path)}
	return t, eachPair(path, n, func(key, value *yaml.Node) error {
		want := ""
		switch key.Value {
		case "command":
			t.Command, want = take(scalars, value, "a list of words")
		case "env":
			t.Env, want = take(scalarPairs, value, "variables, each once, and their values")
		case "headers":
			t.Headers, want = take(scalarPairs, value, "headers, each once, and their values")
		case "scratch":
			t.Scratch, want = take(scalar, value, "a directory")
			if t.Scratch != "" && !filepath.IsAbs(t.Scratch) {
				t.Scratch = filepath.Join(t.Dir, t.Scratch)
			}
		case "url":
			t.URL, want = take(scalar, value, "one URL")
		case "policy":
			policy, bad := take(scalar, value, "one word")
			t.Policy, want = upstream.Policy(policy), bad
		case "resend":
			t.Resend = value.Value == "true"
			if value.Tag != "!!bool" {
				want = "true or false"
			}
		default:
			return yamlError(path, key, "upstreams.%s: there is no %q; there are command, env, scratch, url, headers, policy and resend", alias, key.Value)
		}
		if want != "" {
			return yamlError(path, key, "upstreams.%s.%s: want %s", alias, key.Value, want)
		}
		return nil
	})
}

// take reads a value, or says what was wanted.
func take[T any](read func(*yaml.Node) (T, bool), n *yaml.Node, what string) (T, string) {
	v, ok := read(n)
	if ok {
		what = ""
	}
	return v, what
}

func scalar(n *yaml.Node) (string, bool) {
	return n.Value, n.Kind == yaml.ScalarNode && n.Tag != "!!null" && n.Value != ""
}

func scalarPairs(n *yaml.Node) (map[string]string, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	all := map[string]string{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if _, twice := all[key]; twice || value.Kind != yaml.ScalarNode {
			return nil, false
		}
		all[key] = value.Value
	}
	return all, true
}

// upstreams is the runtime that knows what the aliases stand for.
func (a *app) upstreams() (*upstream.Runtime, error) { return a.reaching(a.config.Upstreams) }

// reaching is the runtime of these targets, whose variables are filled in.
func (a *app) reaching(mapped map[string]upstream.Target) (*upstream.Runtime, error) {
	targets := map[string]upstream.Target{}
	for _, alias := range slices.Sorted(maps.Keys(mapped)) {
		t, err := a.expand(mapped[alias])
		if err != nil {
			return nil, failf("Set it, or take the upstream out of astra.yaml.", "upstreams.%s: %w", alias, err)
		}
		if a.recording {
			t.Policy = upstream.Live
		}
		targets[alias] = t
	}
	rt, err := upstream.New(&upstream.Options{Targets: targets, Logger: a.logger()})
	if err != nil {
		return nil, failf("`astra help config` has an example.", "%w", err)
	}
	return rt, nil
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts the operator's variables in. Their values are secrets, wherever they stand.
func (a *app) expand(t upstream.Target) (upstream.Target, error) {
	var missing []error
	fill := func(s string) string {
		return variable.ReplaceAllStringFunc(s, func(ref string) string {
			name := ref[2 : len(ref)-1]
			v, ok := a.env(name)
			if !ok {
				missing = append(missing, fmt.Errorf("the variable %s is not set", name))
			}
			t.Secrets = append(t.Secrets, v)
			return v
		})
	}
	fillAll := func(m map[string]string) map[string]string {
		m = maps.Clone(m)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			m[k] = fill(m[k])
		}
		return m
	}
	t.Env, t.Headers, t.URL = fillAll(t.Env), fillAll(t.Headers), fill(t.URL)
	return t, errors.Join(missing...)
}
