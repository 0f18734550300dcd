package servers

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// DefaultMinTools is how many tools a server must have (ASTRA §2.1.1).
const DefaultMinTools = 3

// A Rejection says what was left out, and why.
type Rejection struct {
	Server string `json:"server"`
	Tool   string `json:"tool,omitempty"` // "" if it is the whole server
	Reason string `json:"reason"`         // one of those below, to be counted
	Detail string `json:"detail,omitempty"`
}

// Why something is left out.
const (
	Unreadable     = "unreadable"      // its document is broken there
	Unreachable    = "unreachable"     // the server behind a document, which itself stays
	SaysNothing    = "says nothing"    // the description, or no more than the name
	NotConvertible = "not convertible" // no arena can have it
	Duplicate      = "duplicate"
	NameTaken      = "name taken"
	TooFewTools    = "too few tools"
)

// Options adjusts Filter. A zero field, or a nil *Options, means the default.
type Options struct {
	MinTools int // a server must have; default DefaultMinTools
}

// Filter holds servers to the rules and says what it left out. Tools are judged first: a
// server needs enough of those that are left. A server whose tools are those of an earlier
// one, by names and arguments, is left out under whatever name it comes, and its chains are
// the earlier one's.
func Filter(all []Server, opts *Options) (kept []Server, out []Rejection) {
	f := &filter{least: DefaultMinTools, byName: map[string]bool{}, byTools: map[[sha256.Size]byte]int{}}
	if opts != nil {
		f.least = cmp.Or(opts.MinTools, f.least)
	}
	for i := range all {
		f.server(all[i])
	}
	return f.kept, f.out
}

// A filter has what it kept so far.
type filter struct {
	least   int
	kept    []Server
	out     []Rejection
	byName  map[string]bool
	byTools map[[sha256.Size]byte]int // index of kept
}

func (f *filter) reject(server, tool, reason, format string, args ...any) {
	f.out = append(f.out, Rejection{server, tool, reason, fmt.Sprintf(format, args...)})
}

func (f *filter) server(s Server) {
	had := len(s.Tools)
	tools, why := f.tools(&s)
	s.Tools = tools
	same := s.sameTools()
	first, twice := f.byTools[same]
	switch {
	case len(s.Tools) < f.least:
		f.reject(s.Name, "", TooFewTools, "%d of %d are left; it takes %d", len(s.Tools), had, f.least)
	case twice:
		f.reject(s.Name, "", Duplicate, "its tools are those of %s", f.kept[first].Name)
		f.kept[first].Chains = joined(f.kept[first].Chains, s.Chains)
	case f.byName[s.Name]:
		f.reject(s.Name, "", NameTaken, "another server has other tools under it")
	case why != "":
		f.reject(s.Name, "", NotConvertible, "%s", why)
	default:
		f.byName[s.Name], f.byTools[same] = true, len(f.kept)
		f.kept = append(f.kept, s)
	}
}

// tools are those of a server that are taken, and why no arena can have all of them.
func (f *filter) tools(s *Server) (tools []Tool, why string) {
	seen := map[string]bool{}
	for _, t := range s.Tools {
		why := saysNothing(&t)
		switch {
		case seen[t.Name]:
			f.reject(s.Name, t.Name, Duplicate, "an earlier tool has the name")
		case why != "":
			f.reject(s.Name, t.Name, SaysNothing, "%s", why)
		default:
			tools = append(tools, t)
		}
		seen[t.Name] = true
	}
	if why = refusal(s, tools); why == "" {
		return tools, "" // most servers: no need to look at each
	}
	all := len(tools)
	tools = slices.DeleteFunc(tools, func(t Tool) bool {
		why := refusal(&Server{Name: "one", Upstream: s.Upstream}, []Tool{t})
		if why != "" {
			f.reject(s.Name, t.Name, NotConvertible, "%s", why)
		}
		return why != ""
	})
	if len(tools) < all {
		why = refusal(s, tools)
	}
	return tools, why
}

// sameTools is equal for servers whose tools have the same names and arguments. Texts are
// not looked at: copies of a server differ in them.
func (s *Server) sameTools() [sha256.Size]byte {
	var all []string
	for _, t := range s.Tools {
		all = append(all, cmp.Or(t.Original, t.Name)+"\x00"+sortedKeys(t.Input))
	}
	slices.Sort(all)
	return sha256.Sum256([]byte(strings.Join(all, "\x00")))
}

// sortedKeys is JSON that does not depend on the order of its keys.
func sortedKeys(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(raw)
	}
	b, err := synth.JSON(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// joined are two lists of chains, each chain once.
func joined(a, b [][]string) (all [][]string) {
	seen := map[string]bool{}
	for _, chain := range slices.Concat(a, b) {
		if key := strings.Join(chain, "\x00"); !seen[key] {
			seen[key] = true
			all = append(all, chain)
		}
	}
	return all
}
