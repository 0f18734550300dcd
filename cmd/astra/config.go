package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra/mcp/upstream"
)

// A config is what astra.yaml, the environment and flags set; the later of these wins.
type config struct {
	Dir       string
	Arenas    []string
	Agents    string
	Control   string
	Faces     string // "": not served
	Practice  bool
	Certified bool // episodes to train on or to be measured by are of certified arenas alone
	Hosts     []string
	Origins   []string
	TTL       time.Duration
	MaxOpen   int
	MaxLive   int   // 0: what memory allows
	MaxMemory int64 // bytes; 0: what the machine has for us
	Python    string
	BaseURL   string
	Model     string
	Emulator  emulatorConfig
	Policy    policyConfig
	LogLevel  slog.Level

	Upstreams map[string]upstream.Target // by alias; variables in them are not looked up yet
}

// An emulatorConfig says which model answers for the tools of emulated arenas.
type emulatorConfig struct{ Model, API, BaseURL, Cache string }

// A policyConfig is the inference server of the policy that is trained; its key is
// ASTRA_POLICY_KEY.
type policyConfig struct {
	BaseURL, Model string
	Whole          bool
}

func defaults() config {
	return config{Dir: ".astra", Arenas: []string{filepath.Join("examples", "arenas")}, Agents: "127.0.0.1:8080", Control: "127.0.0.1:8081",
		TTL: time.Hour, MaxOpen: 100_000, LogLevel: slog.LevelWarn}
}

// A setting is one key of astra.yaml; upper-case after ASTRA_ it is a variable, with
// dashes a flag.
type setting struct {
	key, about string
	kind       string // what a flag's help calls its value; "" is a switch
	path       bool   // relative to the file that sets it
	list       bool
	set        func(*config, []string) error
}

var settings = []setting{
	{key: "dir", about: "directory of the store (default .astra)", kind: "DIR", path: true, set: text(func(c *config) *string { return &c.Dir })},
	{key: "arenas", about: "directories with arenas (default examples/arenas)", kind: "DIR", path: true, list: true, set: texts(func(c *config) *[]string { return &c.Arenas })},
	{key: "agents", about: "address of the agents' listener (default 127.0.0.1:8080)", kind: "ADDR", set: address(func(c *config) *string { return &c.Agents })},
	{key: "control", about: "address of the control listener (default 127.0.0.1:8081)", kind: "ADDR", set: address(func(c *config) *string { return &c.Control })},
	{key: "faces", about: "address of the listener for other frameworks' protocols, which asks for no token unless ASTRA_FACES_KEY is set (default none)", kind: "ADDR", set: address(func(c *config) *string { return &c.Faces })},
	{key: "practice", about: "let explorers in over HTTP, with the token in DIR/explorer.token", set: truth(func(c *config) *bool { return &c.Practice })},
	{key: "require_certificate", about: "open train and eval episodes of arenas alone that pass this store's own checks (see astra certify)", set: truth(func(c *config) *bool { return &c.Certified })},
	{key: "hosts", about: "Host names to answer to besides loopback's", kind: "NAME", list: true, set: hostNames},
	{key: "origins", about: "browser origins to answer to besides loopback's", kind: "URL", list: true, set: origins},
	{key: "ttl", about: "how long an episode may stay open (default 1h)", kind: "TIME", set: duration(func(c *config) *time.Duration { return &c.TTL })},
	{key: "max_open", about: "how many episodes may be open (default 100000)", kind: "N", set: count(func(c *config) *int { return &c.MaxOpen })},
	{key: "python", about: "file of the Python engine (default python.wasm beside astra)", kind: "FILE", path: true, set: text(func(c *config) *string { return &c.Python })},
	{key: "max_live", about: "how many worlds of idle episodes stay live; others are put away (default what memory allows)", kind: "N", set: count(func(c *config) *int { return &c.MaxLive })},
	{key: "max_memory", about: "memory past which no episode is opened, such as 6GiB; idle worlds and records are bounded by it too (default what the machine or its control group has)", kind: "SIZE", set: func(c *config, v []string) (err error) {
		c.MaxMemory, err = size(v[0])
		return err
	}},
	{key: "base_url", about: "OpenAI-compatible API that the llm agent asks", kind: "URL", set: text(func(c *config) *string { return &c.BaseURL })},
	{key: "model", about: "model that the llm agent asks for", kind: "NAME", set: text(func(c *config) *string { return &c.Model })},
	{key: "emulator_model", about: "model that answers for the tools of emulated arenas (default none: their cassettes alone)", kind: "NAME", set: text(func(c *config) *string { return &c.Emulator.Model })},
	{key: "emulator_api", about: "what its server speaks: openai or anthropic (default openai)", kind: "API", set: word(func(c *config) *string { return &c.Emulator.API }, "openai", "anthropic")},
	{key: "emulator_base_url", about: "where it is (default the vendor's)", kind: "URL", set: webURL(func(c *config) *string { return &c.Emulator.BaseURL })},
	{key: "emulator_cache", about: "directory of its answers, which are given again to equal calls of equal worlds", kind: "DIR", path: true, set: text(func(c *config) *string { return &c.Emulator.Cache })},
	{key: "policy_url", about: "OpenAI-compatible server of the policy that agents are, behind their episode's door (vLLM, SGLang, …); its key is ASTRA_POLICY_KEY", kind: "URL", set: webURL(func(c *config) *string { return &c.Policy.BaseURL })},
	{key: "policy_model", about: "model that it is asked for, whatever agents say", kind: "NAME", set: text(func(c *config) *string { return &c.Policy.Model })},
	{key: "policy_whole", about: "ask it for whole answers where agents stream: SGLang tells token ids in these alone", set: truth(func(c *config) *bool { return &c.Policy.Whole })},
	{key: "log_level", about: "debug, info, warn or error (default warn; serve: info)", kind: "LEVEL", set: func(c *config, v []string) error {
		if c.LogLevel.UnmarshalText([]byte(v[0])) != nil {
			return errors.New("want debug, info, warn or error")
		}
		return nil
	}},
}

func text(at func(*config) *string) func(*config, []string) error {
	return func(c *config, v []string) error {
		if v[0] == "" {
			return errors.New("want a value, not an empty text")
		}
		*at(c) = v[0]
		return nil
	}
}

// address takes a URL too, which is how clients are told of the same place.
func address(at func(*config) *string) func(*config, []string) error {
	return func(c *config, v []string) error {
		addr := strings.TrimSuffix(strings.TrimPrefix(v[0], "http://"), "/")
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return errors.New("want host:port, such as 127.0.0.1:8080")
		}
		*at(c) = addr
		return nil
	}
}

func texts(at func(*config) *[]string) func(*config, []string) error {
	return func(c *config, v []string) error { *at(c) = v; return nil }
}

// hostNames are compared with what a request's Host names, without its port.
func hostNames(c *config, v []string) error {
	for _, name := range v {
		if name == "" || strings.ContainsAny(name, "/ *@") || strings.Contains(name, ":") && net.ParseIP(name) == nil {
			return errors.New("want a name as requests have it, without scheme and port, such as arenas.example.com")
		}
	}
	c.Hosts = v
	return nil
}

// origins are compared with what browsers send, byte by byte.
func origins(c *config, v []string) error {
	for _, origin := range v {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+strings.ToLower(u.Host) {
			return errors.New("want an origin as browsers send it, without a path, such as https://arenas.example.com")
		}
	}
	c.Origins = v
	return nil
}

func truth(at func(*config) *bool) func(*config, []string) error {
	return func(c *config, v []string) (err error) {
		if *at(c), err = strconv.ParseBool(v[0]); err != nil {
			return errors.New("want true or false")
		}
		return nil
	}
}

func duration(at func(*config) *time.Duration) func(*config, []string) error {
	return func(c *config, v []string) (err error) {
		if *at(c), err = time.ParseDuration(v[0]); err != nil || *at(c) <= 0 {
			return errors.New("want a time such as 30m or 2h")
		}
		return nil
	}
}

func count(at func(*config) *int) func(*config, []string) error {
	return func(c *config, v []string) (err error) {
		if *at(c), err = strconv.Atoi(v[0]); err != nil || *at(c) <= 0 {
			return errors.New("want a whole number above 0")
		}
		return nil
	}
}

// size reads 512MiB or 6GiB.
func size(text string) (int64, error) {
	for unit, shift := range map[string]int{"MiB": 20, "GiB": 30} {
		if n, err := strconv.ParseInt(strings.TrimSuffix(text, unit), 10, 33); err == nil && strings.HasSuffix(text, unit) && n > 0 {
			return n << shift, nil
		}
	}
	return 0, errors.New("want a size such as 512MiB or 6GiB")
}

func (s *setting) env() string  { return "ASTRA_" + strings.ToUpper(s.key) }
func (s *setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

// split takes a variable apart: directories as PATH has them, other lists at commas, as URLs have colons.
func (s *setting) split(v string) []string {
	switch {
	case s.list && s.path:
		return filepath.SplitList(v)
	case s.list:
		return strings.Split(v, ",")
	}
	return []string{v}
}

func settingOf(key string) *setting {
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	return nil
}

// A flagValue collects what the command line says of a setting.
type flagValue struct {
	of     *setting
	values []string
}

func (f *flagValue) String() string     { return strings.Join(f.values, ",") }
func (f *flagValue) Type() string       { return f.of.kind }
func (f *flagValue) Set(v string) error { f.values = append(f.values, v); return nil }

// settings gives a command the flags of some settings.
func (a *app) settings(cmd *cobra.Command, keys ...string) {
	for _, key := range keys {
		s := settingOf(key)
		if a.flags[key] == nil { // several commands may have it; one of them runs
			a.flags[key] = &flagValue{of: s}
		}
		f := cmd.Flags().VarPF(a.flags[key], s.flag(), "", s.about)
		if s.kind == "" {
			f.NoOptDefVal = "true"
		}
	}
}

// configure reads the settings in their order: astra.yaml, environment, flags.
func (a *app) configure() error {
	a.config = defaults()
	if err := a.readFile(); err != nil {
		return err
	}
	for i := range settings {
		s := &settings[i]
		if v, ok := a.env(s.env()); ok && v != "" {
			if err := a.apply(s, s.split(v)); err != nil {
				return fmt.Errorf("%s=%s: %w", s.env(), v, err)
			}
		}
		if f := a.flags[s.key]; f != nil && len(f.values) > 0 {
			values := f.values
			if !s.list {
				values = values[len(values)-1:]
			}
			if err := a.apply(s, values); err != nil {
				return &problem{err: fmt.Errorf("--%s %s: %w", s.flag(), f, err), code: 2}
			}
		}
	}
	return nil
}

func (a *app) apply(s *setting, values []string) error {
	if s.key == "log_level" {
		a.levelSet = true
	}
	return s.set(&a.config, values)
}

// readFile reads --config or ASTRA_CONFIG, which must exist, or astra.yaml, which need not.
func (a *app) readFile() error {
	path, asked := a.configPath, a.configPath != ""
	if v, ok := a.env("ASTRA_CONFIG"); ok && !asked && v != "" {
		path, asked = v, true
	}
	if path == "" {
		path = "astra.yaml"
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !asked {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return a.readYAML(path, b)
}

// readYAML takes a mapping. It is read as a tree, because that knows its positions.
func (a *app) readYAML(path string, b []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err) // says the line itself
	}
	if doc.IsZero() {
		return nil // nothing, or comments
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return yamlError(path, top, "want keys and values")
	}
	return eachPair(path, top, func(key, value *yaml.Node) error { return a.readPair(path, key, value) })
}

// eachPair calls do for the keys of a mapping, each of which may come once.
func eachPair(path string, mapping *yaml.Node, do func(key, value *yaml.Node) error) error {
	seen := map[string]bool{}
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if seen[key.Value] {
			return yamlError(path, key, "%s comes twice", key.Value)
		}
		seen[key.Value] = true
		if err := do(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) readPair(path string, key, value *yaml.Node) error {
	if key.Value == "upstreams" {
		return a.readUpstreams(path, key, value)
	}
	s := settingOf(key.Value)
	if s == nil {
		return yamlError(path, key, "there is no setting %q", key.Value)
	}
	values, ok := scalars(value)
	if !ok || !s.list && len(values) != 1 {
		return yamlError(path, key, "%s: want one value%s", key.Value, map[bool]string{true: ", or a list"}[s.list])
	}
	if s.path {
		for i, v := range values {
			if !filepath.IsAbs(v) {
				values[i] = filepath.Join(filepath.Dir(path), v)
			}
		}
	}
	if err := a.apply(s, values); err != nil {
		return yamlError(path, key, "%s: %v", key.Value, err)
	}
	return nil
}

// scalars are the values of a scalar, or of a list of scalars. Aliases are refused with
// all else.
func scalars(n *yaml.Node) ([]string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		return []string{n.Value}, true
	case n.Kind == yaml.SequenceNode:
		var all []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return nil, false
			}
			all = append(all, item.Value)
		}
		return all, true
	}
	return nil, false
}

func yamlError(path string, at *yaml.Node, format string, args ...any) error {
	return failf("`astra help config` lists the settings.", "%s:%d:%d: %s", path, at.Line, at.Column, fmt.Sprintf(format, args...))
}

// configHelp is `astra help config`.
func configHelp() string {
	var b strings.Builder
	b.WriteString("Settings come from astra.yaml in the working directory (or --config FILE, or ASTRA_CONFIG),\n" +
		"then from the environment, then from flags; the later wins. Unknown keys are refused.\n" +
		"A list in a variable has commas, one of directories what PATH has; a flag is given several times.\n\n")
	for i := range settings {
		s := &settings[i]
		fmt.Fprintf(&b, "  %-17s %-23s --%-17s %s\n", s.key, s.env(), s.flag(), s.about)
	}
	b.WriteString(upstreamsHelp)
	b.WriteString("\nLists are YAML lists, repeated flags, or separated by " + string(filepath.ListSeparator) + " in the environment.\n" +
		"The llm agent's key comes from ASTRA_API_KEY or OPENAI_API_KEY alone, so that no file or process list shows it;\n" +
		"the emulator's from " + emulatorKey + " alone.\n\n" +
		"An astra.yaml:\n\n  dir: /var/lib/astra\n  arenas: [arenas, ../more]\n  practice: true\n  ttl: 30m\n")
	return b.String()
}
