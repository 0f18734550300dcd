package astra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What arena.yaml may hold.
const (
	MaxManifestBytes = 512 << 10 // the parser takes up to 160 bytes a byte, so some 80 MB
	maxYAMLDepth     = 64        // our keys take four; the rest is for schemas and provenance
	MaxTools         = 256       // more than any model is shown at once
	maxTitle         = 200
	maxDescription   = 16 << 10
)

// The range of each limit; an arena may ask for anything between.
const (
	MinMemory = 1 << 20
	MaxMemory = 64 << 20 // the size of a sandbox slot
	MaxFuel   = 100_000_000_000
	MaxWall   = 5 * time.Minute
	MaxResult = 1 << 20
	MaxLog    = 1 << 20
	MaxDepth  = 256 // half of what our own readers take
)

// A manifest is arena.yaml as written.
type manifest struct {
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Domain      string      `json:"domain"`
	License     string      `json:"license"`
	Runtime     RuntimeKind `json:"runtime"`
	Entry       *string     `json:"entry"`
	Class       string      `json:"class"`
	Setup       string      `json:"setup"`
	Match       Match       `json:"match"`
	Upstreams   []struct {
		Alias string `json:"alias"`
	} `json:"upstreams"`
	Now        *time.Time      `json:"now"`
	Limits     manifestLimits  `json:"limits"`
	Failures   *FailurePlan    `json:"failures"`
	Tools      []manifestTool  `json:"tools"`
	Provenance json.RawMessage `json:"provenance"`
}

type manifestLimits struct {
	Memory *byteSize      `json:"memory"`
	Fuel   *int64         `json:"fuel"`
	Wall   *time.Duration `json:"wall"`
	Result *byteSize      `json:"result"`
	Log    *byteSize      `json:"log"`
	Depth  *int           `json:"depth"`
}

type manifestTool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Upstream    string          `json:"upstream"`
	Original    string          `json:"original"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
	Annotations struct {
		ReadOnly    *bool `json:"read_only"`
		Destructive *bool `json:"destructive"`
		Idempotent  *bool `json:"idempotent"`
		OpenWorld   *bool `json:"open_world"`
	} `json:"annotations"`
}

// entries are the files that each runtime runs unless arena.yaml says otherwise;
// the others run none.
var entries = map[RuntimeKind]string{JavaScript: "tools.js", Python: "tools.py", WASM: "tools.wasm", Upstream: "", Emulated: ""}

var (
	arenaName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$`)
	identifier  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

// plainName reports whether a name is an identifier of at most 64 characters.
func plainName(s string) bool { return identifier.MatchString(s) }

// reservedTools are names that other frameworks' protocols, or our own doors, give a meaning.
var reservedTools = []string{"reset", "step", "state", "close", "verify", "seed_session", "close_session",
	"sandbox_access", "aggregate_metrics", "reverify_mode", "mcp"}

// readManifest reads arena.yaml into a, which has its bundle already.
func readManifest(bad *refusals, a *Arena, b []byte) {
	root, err := parseYAML(b)
	if err != nil {
		bad.add(manifestFile, err.Line, err.Fix, "%s", err.Msg)
		return
	}
	var m manifest
	f := &filler{bad, manifestFile}
	f.fill(root, "", reflect.ValueOf(&m).Elem())
	r := &manifestReader{filler: f, root: root, a: a, patterns: newPatterns()}
	r.identity(&m)
	r.runtime(&m)
	r.match(&m)
	r.upstreams(&m)
	r.limits(&m.Limits)
	r.failures(m.Failures)
	r.tools(m.Tools)
	r.provenance(m.Provenance)
}

// A manifestReader checks what was read and moves it into the arena.
type manifestReader struct {
	*filler
	root     *value
	a        *Arena
	patterns *patterns
}

// at finds where a key is written, or the whole file.
func (r *manifestReader) at(keys ...string) *value {
	v := r.root
	for _, k := range keys {
		next := v.child(k)
		if next == nil {
			break
		}
		v = next
	}
	return v
}

// refuse says one thing of each key: what could not be read is not held to rules as well.
func (r *manifestReader) refuse(v *value, path, fix, format string, args ...any) {
	for _, p := range r.bad.list {
		if strings.HasPrefix(p.Msg, path+": ") {
			return
		}
	}
	r.filler.refuse(v, path, fix, format, args...)
}

func (r *manifestReader) identity(m *manifest) {
	a := r.a
	a.Name, a.Version, a.Title, a.Description, a.Domain, a.License = m.Name, m.Version, m.Title, m.Description, m.Domain, m.License
	if !arenaName.MatchString(m.Name) {
		r.refuse(r.at("name"), "name", "use a-z, 0-9 and - after a letter, at most 64 in all", "%s is no arena's name", clip(m.Name))
	}
	if !versionForm.MatchString(m.Version) {
		r.refuse(r.at("version"), "version", "write one such as 1.0.0", "%s is no version", clip(m.Version))
	}
	if a.Title == "" {
		a.Title = a.Name
	}
	r.short("title", m.Title, maxTitle)
	r.short("description", m.Description, maxDescription)
	r.short("domain", m.Domain, maxTitle)
	r.short("license", m.License, maxTitle)
	if a.Now = DefaultNow; m.Now != nil {
		a.Now = *m.Now
	}
}

func (r *manifestReader) short(key, s string, most int) {
	if len(s) > most {
		r.refuse(r.at(key), key, "shorten it", "%d bytes; it may have %d", len(s), most)
	}
}

func (r *manifestReader) runtime(m *manifest) {
	a := r.a
	if a.Runtime = m.Runtime; a.Runtime == "" {
		a.Runtime = JavaScript
	}
	entry, known := entries[a.Runtime]
	if !known {
		r.refuse(r.at("runtime"), "runtime", "use javascript, python, wasm, upstream or emulated", "%s is no runtime", clip(string(m.Runtime)))
		return
	}
	if m.Entry != nil {
		if entry == "" {
			r.refuse(r.at("entry"), "entry", "leave it out", "%s runs no file of the bundle", a.Runtime)
		}
		entry = *m.Entry
	}
	a.Entry = entry
	r.class(m)
	if _, ok := a.Bundle.File(entry); entry != "" && !ok {
		r.refuse(r.at("entry"), "entry", "add the file, or name the one that implements the tools", "there is no %s in the bundle", clip(entry))
	}
}

// class reads what of a Python module the tools are.
func (r *manifestReader) class(m *manifest) {
	a := r.a
	a.Class, a.Setup = m.Class, m.Setup
	for _, key := range []string{"class", "setup"} {
		name := map[string]string{"class": m.Class, "setup": m.Setup}[key]
		switch {
		case name == "":
		case a.Runtime != Python:
			r.refuse(r.at(key), key, "leave it out", "%s has no classes; python has", a.Runtime)
		case !plainName(name):
			r.refuse(r.at(key), key, "write a name of the Python code", "%s is no name", clip(name))
		}
	}
	if a.Setup != "" && a.Class == "" {
		r.refuse(r.at("setup"), "setup", "name the class too, or call the function setup", "it is a method of a class that is not named")
	}
}

func (r *manifestReader) limits(m *manifestLimits) {
	l := &r.a.Limits
	*l = DefaultLimits
	limit(r, "memory", (*int64)(m.Memory), &l.Memory, MinMemory, MaxMemory)
	limit(r, "fuel", m.Fuel, &l.Fuel, 1, MaxFuel)
	limit(r, "wall", m.Wall, &l.Wall, time.Millisecond, MaxWall)
	limit(r, "result", (*int64)(m.Result), &l.Result, 64, MaxResult)
	limit(r, "log", (*int64)(m.Log), &l.Log, 0, MaxLog)
	limit(r, "depth", m.Depth, &l.Depth, 1, MaxDepth)
}

func limit[T int | int64 | time.Duration](r *manifestReader, key string, written *T, dst *T, least, most T) {
	if written == nil {
		return
	}
	if *written < least || *written > most {
		r.refuse(r.at("limits", key), "limits."+key, fmt.Sprintf("use %v to %v", least, most), "%v is out of range", *written)
		return
	}
	*dst = *written
}

func (r *manifestReader) failures(p *FailurePlan) {
	if key, why, fix := p.refusal(); why != "" {
		r.refuse(r.at("failures", key), "failures."+key, fix, "%s", why)
	}
	r.a.Failures = p
}

func (r *manifestReader) tools(tools []manifestTool) {
	list := r.at("tools")
	if len(tools) == 0 || len(tools) > MaxTools {
		r.refuse(list, "tools", "list the functions that agents may call", "%d tools; an arena has 1 to %d", len(tools), MaxTools)
		return
	}
	seen := map[string]bool{}
	for i := range tools {
		at, path := list.child(strconv.Itoa(i)), fmt.Sprintf("tools[%d]", i)
		if at == nil {
			return // not a list, which was refused
		}
		t := r.tool(&tools[i], at, path)
		if seen[t.Name] {
			r.refuse(at, path+".name", "rename one", "the tool %s comes twice", clip(t.Name))
		}
		seen[t.Name] = true
		r.a.Tools = append(r.a.Tools, t)
	}
}

func (r *manifestReader) tool(m *manifestTool, at *value, path string) Tool {
	t := Tool{Name: m.Name, Title: m.Title, Description: m.Description, Input: m.Input, Output: m.Output, depth: r.a.Limits.Depth}
	if why, fix := refuseToolName(m.Name); why != "" {
		r.refuse(at, path+".name", fix, "%s", why)
	}
	if strings.TrimSpace(m.Description) == "" || len(m.Description) > maxDescription {
		r.refuse(at, path+".description", fmt.Sprintf("say what the tool does in 1 to %d bytes", maxDescription), "%d bytes", len(m.Description))
	}
	if len(m.Title) > maxTitle {
		r.refuse(at, path+".title", "shorten it", "%d bytes; it may have %d", len(m.Title), maxTitle)
	}
	if t.Derived = t.Input == nil && r.a.Runtime == Python; t.Derived {
		t.Input = json.RawMessage(`{"type":"object"}`)
	}
	if t.Input == nil {
		t.Input = json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)
	}
	var err error
	if t.in, err = r.patterns.input(t.Input); err != nil {
		r.refuse(line(at, "input"), path+".input", "write a JSON Schema 2020-12 of an object", "%v", err)
	}
	if t.Output != nil {
		if t.out, err = r.patterns.schema(t.Output); err != nil {
			r.refuse(line(at, "output"), path+".output", "write a JSON Schema 2020-12", "%v", err)
		}
	}
	t.Annotations = r.annotations(m, at, path)
	r.mirrored(&t, m, at, path)
	return t
}

// match reads which calls share an answer on the cassette.
func (r *manifestReader) match(m *manifest) {
	a := r.a
	a.Match = m.Match
	switch recorded := a.Runtime == Upstream || a.Runtime == Emulated; {
	case recorded && m.Match == "":
		a.Match = MatchEpisode
	case !recorded && m.Match != "":
		r.refuse(r.at("match"), "match", "leave it out", "%s needs no cassette: its tools are run again", a.Runtime)
	case recorded && m.Match != MatchEpisode && m.Match != MatchCall:
		r.refuse(r.at("match"), "match", "write episode, or call if the tools only read", "%s is no way to match calls", clip(string(m.Match)))
	}
}

// upstreams reads the names of the servers. A bundle only names them: what they are, and
// whether there is one at all, is the operator's to say.
func (r *manifestReader) upstreams(m *manifest) {
	for i, u := range m.Upstreams {
		at, path := r.at("upstreams", strconv.Itoa(i)), fmt.Sprintf("upstreams[%d].alias", i)
		switch {
		case !arenaName.MatchString(u.Alias):
			r.refuse(at, path, "use a-z, 0-9 and - after a letter, at most 64 in all", "%s is no alias", clip(u.Alias))
		case slices.Contains(r.a.Upstreams, u.Alias):
			r.refuse(at, path, "keep one", "the upstream %s comes twice", u.Alias)
		}
		r.a.Upstreams = append(r.a.Upstreams, u.Alias)
	}
	switch {
	case r.a.Runtime != Upstream && m.Upstreams != nil:
		r.refuse(r.at("upstreams"), "upstreams", "leave it out, or write runtime: upstream", "%s asks no upstream", r.a.Runtime)
	case r.a.Runtime == Upstream && len(m.Upstreams) == 0:
		r.refuse(r.at("upstreams"), "upstreams", "name the servers, such as [{alias: search}]", "it names none")
	}
}

// mirrored reads which tool of which server a tool stands for.
func (r *manifestReader) mirrored(t *Tool, m *manifestTool, at *value, path string) {
	if r.a.Runtime != Upstream {
		if m.Upstream+m.Original != "" {
			r.refuse(at, path+".upstream", "leave it and original out, or write runtime: upstream", "%s asks no upstream", r.a.Runtime)
		}
		return
	}
	if t.Upstream, t.Original = m.Upstream, m.Original; t.Original == "" {
		t.Original = t.Name
	}
	if t.Upstream == "" && len(r.a.Upstreams) == 1 {
		t.Upstream = r.a.Upstreams[0]
	}
	if !slices.Contains(r.a.Upstreams, t.Upstream) {
		r.refuse(line(at, "upstream"), path+".upstream", "write one of: "+strings.Join(r.a.Upstreams, ", "), "%s is not among the upstreams", clip(t.Upstream))
	}
	if len(t.Original) > maxTitle {
		r.refuse(line(at, "original"), path+".original", "check it", "%d bytes; it may have %d", len(t.Original), maxTitle)
	}
	for _, other := range r.a.Tools {
		if other.Upstream == t.Upstream && other.Original == t.Original && other.Name != t.Name {
			r.refuse(line(at, "original"), path+".original", "keep one", "it is mirrored by the tool %s already", other.Name)
		}
	}
}

// line finds a key of a value for its line, or takes the value's own.
func line(v *value, key string) *value {
	if c := v.child(key); c != nil {
		return c
	}
	return v
}

// annotations fills in what the author left open with what is true of most tools, and
// of none is the flattering choice: a tool that does not say that it only reads may
// write, destroy and do so again at every call; only an upstream reaches outside.
func (r *manifestReader) annotations(m *manifestTool, at *value, path string) Annotations {
	given := m.Annotations
	or := func(p *bool, otherwise bool) bool {
		if p != nil {
			return *p
		}
		return otherwise
	}
	var a Annotations
	a.ReadOnly = or(given.ReadOnly, false)
	a.Destructive = or(given.Destructive, !a.ReadOnly)
	a.Idempotent = or(given.Idempotent, a.ReadOnly)
	a.OpenWorld = or(given.OpenWorld, r.a.Runtime == Upstream)
	if a.ReadOnly && a.Destructive {
		r.refuse(line(at, "annotations"), path+".annotations", "take one back", "read_only and destructive contradict each other")
	}
	return a
}

// ToolNameError says why a name cannot be a tool's, and what to do; nil if it can.
func ToolNameError(name string) error {
	if why, fix := refuseToolName(name); why != "" {
		return errors.New(why + "; " + fix)
	}
	return nil
}

// refuseToolName says why a name cannot be a tool's, and what to do; "" if it can.
func refuseToolName(name string) (why, fix string) {
	switch {
	case !plainName(name):
		return clip(name) + " is no tool's name", "use letters, digits and _, not a digit first, at most 64 in all"
	case strings.HasPrefix(name, "episode_") || strings.HasPrefix(name, "arena_") || slices.Contains(reservedTools, name):
		return clip(name) + " is reserved: it means something else at one of the doors", "rename the tool"
	}
	return "", ""
}

func (r *manifestReader) provenance(raw json.RawMessage) {
	if raw == nil {
		return
	}
	v := r.at("provenance")
	if v.kind != objectKind {
		r.refuse(v, "provenance", "write keys and values", "must be an object, not %s", v.kind)
		return
	}
	r.a.Provenance = v.any().(map[string]any)
}

// parseYAML reads one document. Anchors, aliases, merge keys and tags are refused: none
// is needed, and aliases let a small file stand for a huge one.
//
// Of the libraries tried, go.yaml.in/yaml/v3 is the one whose memory does not grow with the
// square of the nesting: 10,000 brackets take 5 MB, where another took 156 MB.
func parseYAML(b []byte) (*value, *BundleError) {
	if len(b) > MaxManifestBytes {
		return nil, refusal("", 0, "move long texts into data/", "%d bytes; it may have %d", len(b), MaxManifestBytes)
	}
	if !utf8.Valid(b) {
		return nil, refusal("", 1+bytes.Count(b[:invalidAt(b)], []byte("\n")), "save it as UTF-8", "not UTF-8")
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, yamlRefusal(err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, refusal("", more.Line, "keep one", "more than one document")
	}
	var v value
	if err := fromYAML(doc.Content[0], &v, 0); err != nil {
		return nil, err
	}
	return &v, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// yamlRefusal takes the line out of the parser's message.
func yamlRefusal(err error) *BundleError {
	msg, at := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if errors.Is(err, io.EOF) {
		msg = "it is empty"
	}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		at, _ = strconv.Atoi(m[1])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	return refusal("", at, "mend the YAML", "%s", msg)
}

func fromYAML(n *yaml.Node, v *value, depth int) *BundleError {
	v.line = n.Line
	switch {
	case depth > maxYAMLDepth:
		return refusal("", n.Line, "nest less", "nested more than %d deep", maxYAMLDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return refusal("", n.Line, "write the value out", "anchors and aliases are not read")
	case n.Style&yaml.TaggedStyle != 0:
		return refusal("", n.Line, "leave the tag out", "the tag %s is not read", clip(n.Tag))
	}
	switch n.Kind {
	case yaml.SequenceNode:
		v.kind, v.items = listKind, make([]value, len(n.Content))
		for i, c := range n.Content {
			if err := fromYAML(c, &v.items[i], depth+1); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
		return fromMapping(n, v, depth)
	}
	return fromScalar(n, v)
}

func fromMapping(n *yaml.Node, v *value, depth int) *BundleError {
	v.kind, v.items = objectKind, make([]value, 0, len(n.Content)/2)
	var seen keySet
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, name := n.Content[i], n.Content[i].Value
		if key.Kind == yaml.SequenceNode || key.Kind == yaml.MappingNode || key.Tag == "!!merge" {
			return refusal("", key.Line, "use text as keys", "a key that is not plain text")
		}
		if err := fromYAML(key, new(value), depth+1); err != nil {
			return err
		}
		if !seen.add(v.keys, name) {
			return refusal("", key.Line, "keep one", "the key %s comes twice", clip(name))
		}
		v.keys, v.items = append(v.keys, name), append(v.items, value{})
		if err := fromYAML(n.Content[i+1], &v.items[len(v.items)-1], depth+1); err != nil {
			return err
		}
	}
	return nil
}

func fromScalar(n *yaml.Node, v *value) *BundleError {
	switch n.Tag {
	case "!!str", "!!timestamp":
		v.kind, v.text = textKind, n.Value
	case "!!null":
		v.kind = nullKind
	case "!!bool":
		v.kind, v.text = boolKind, strings.ToLower(n.Value)
	case "!!int", "!!float":
		v.kind, v.text = numberKind, n.Value
		if numberPrefix(n.Value) != len(n.Value) {
			return refusal("", n.Line, "write it in decimal, or in quotes if it is text", "%s is no plain number", clip(n.Value))
		}
		if !fitsDouble(n.Value) {
			return refusal("", n.Line, "write a smaller one", "a number beyond the range of a double")
		}
	default:
		return refusal("", n.Line, "write plain text in quotes", "%s is not read", clip(n.Tag))
	}
	return nil
}
