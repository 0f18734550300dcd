package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A Policy says when an upstream is asked.
type Policy string

// By default what the cassette does not know is asked for.
const (
	CassetteFirst Policy = "cassette-first"
	CassetteOnly  Policy = "cassette-only"
	Live          Policy = "live" // the cassette is not looked at
)

// Policies are what an operator may choose from, the default first.
var Policies = []Policy{CassetteFirst, CassetteOnly, Live}

// A Target is what an operator lets an alias stand for: a command or a URL.
type Target struct {
	Command []string          // program and arguments; speaks MCP on stdin and stdout
	Dir     string            // its working directory; default ours
	Env     map[string]string // all it has besides PATH and HOME
	Scratch string            // directory of which each session has a copy, at {scratch} in Command and Env; "": an empty one
	URL     string            // of a Streamable HTTP endpoint
	Headers map[string]string // of every request to URL
	Policy  Policy            // default CassetteFirst
	Resend  bool              // calls may be sent again, to make a session what it was
	Secrets []string          // besides Env, Headers and what URL has: never to be seen
}

// Options adjusts a Runtime. A zero field, or a nil *Options, means the default.
type Options struct {
	Targets map[string]Target // by alias; default none: only cassettes answer
	Connect time.Duration     // for opening a session; default 30 s
	Logger  *slog.Logger      // default discards
}

// A Runtime implements gateway.Runtime for arenas that mirror MCP servers.
type Runtime struct {
	targets map[string]*target
	opts    Options
}

// target is a Target that has been checked.
type target struct {
	Target
	alias string
	url   *url.URL // nil for a command
	rt    *Runtime
	clean *scrubber // of every target's secrets: what one says may have come from another
}

// New returns a runtime. An error says which alias is wrong, and what to do.
func New(opts *Options) (*Runtime, error) {
	rt := &Runtime{targets: map[string]*target{}}
	if opts != nil {
		rt.opts = *opts
	}
	rt.opts.Connect = cmp.Or(rt.opts.Connect, 30*time.Second)
	rt.opts.Logger = cmp.Or(rt.opts.Logger, slog.New(slog.DiscardHandler))
	clean := newScrubber(rt.opts.Targets)
	for alias, t := range rt.opts.Targets {
		checked, err := newTarget(alias, t)
		if err != nil {
			return nil, fmt.Errorf("upstream %s: %w", alias, err)
		}
		checked.rt, checked.clean = rt, clean
		rt.targets[alias] = checked
	}
	return rt, nil
}

func newTarget(alias string, t Target) (*target, error) {
	t.Command, t.Env, t.Headers = slices.Clone(t.Command), maps.Clone(t.Env), maps.Clone(t.Headers)
	t.Policy = cmp.Or(t.Policy, CassetteFirst)
	checked := &target{Target: t, alias: alias}
	switch {
	case !slices.Contains(Policies, t.Policy):
		return nil, fmt.Errorf("%q is no policy; write one of %v", t.Policy, Policies)
	case (len(t.Command) == 0) == (t.URL == ""):
		return nil, errors.New("write a command or a url, and not both")
	case t.URL == "" && len(t.Headers) > 0:
		return nil, errors.New("a command has no headers; give it env")
	case t.URL != "" && len(t.Env) > 0:
		return nil, errors.New("a url has no env; give it headers")
	case t.URL != "" && t.Scratch != "":
		return nil, errors.New("a url has no scratch; its server keeps its own files")
	case t.URL != "":
		return checked, checked.checkURL()
	}
	return checked, checked.checkCommand()
}

// checkURL says nothing of the URL itself, which may have a password in it.
func (t *target) checkURL() (err error) {
	t.url, err = url.Parse(t.URL)
	if err != nil || t.url.Scheme != "http" && t.url.Scheme != "https" || t.url.Host == "" {
		return errors.New("the url is none; write one such as https://example.com/mcp")
	}
	for name, v := range t.Headers {
		if name == "" || strings.ContainsAny(name, " :\r\n\x00") || strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("the header %q, or its value, cannot be sent", name)
		}
	}
	return nil
}

func (t *target) checkCommand() error {
	if err := t.checkScratch(); err != nil {
		return err
	}
	for name, v := range t.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(v, "\x00") {
			return fmt.Errorf("the variable %q, or its value, cannot be set", name)
		}
	}
	return nil
}

// Kind implements gateway.Runtime.
func (rt *Runtime) Kind() astra.RuntimeKind { return astra.Upstream }

// Digest names how answers are read; what answers is known to nobody.
func (rt *Runtime) Digest() string { return "upstream/1" }

// Pure is false: what a server answers is recorded, not computed again.
func (rt *Runtime) Pure() bool { return false }

// Load reads the arena's cassette. Nothing is started and nobody is asked.
func (rt *Runtime) Load(_ context.Context, a *astra.Arena) (gateway.Program, error) {
	c, err := astra.ReadCassette(a.Bundle)
	if err != nil {
		return nil, err
	}
	for r := range c.All() {
		tool := a.Tool(r.Tool)
		if tool == nil {
			return nil, fmt.Errorf("%s: there is no tool %q any more: record it again with `astra record`", astra.CassetteFile, r.Tool)
		}
		if err := tool.CheckResult(r.Result.Value); r.Result.OK() && err != nil {
			return nil, fmt.Errorf("%s: %s %.200s: %w: record it again with `astra record`", astra.CassetteFile, r.Tool, r.Args, err)
		}
	}
	return &program{rt: rt, arena: a, cassette: c}, nil
}

// Unmapped lists the aliases of an arena that the operator has not mapped.
func (rt *Runtime) Unmapped(a *astra.Arena) []string {
	return slices.DeleteFunc(slices.Clone(a.Upstreams), func(alias string) bool { return rt.targets[alias] != nil })
}
