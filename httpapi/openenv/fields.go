package openenv

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A flaw is what is wrong at one place of a message, as pydantic reports it: clients show it.
type flaw struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
}

// An invalid message has at least one flaw.
type invalid []flaw

func (e invalid) Error() string {
	all := make([]string, len(e))
	for i, f := range e {
		var b strings.Builder
		for _, at := range f.Loc {
			fmt.Fprintf(&b, "%v: ", at)
		}
		all[i] = b.String() + f.Msg
	}
	return "Invalid message: " + strings.Join(all, "; ")
}

// maxFlaws bounds what one message makes us say.
const maxFlaws = 20

// fields are the members of a JSON object as they are read one by one; what is wrong with them
// is gathered.
type fields struct {
	of    map[string]json.RawMessage
	at    []any // where the object is in its message
	flaws invalid
}

// object reads one that is at a place of a message.
func object(raw json.RawMessage, at ...any) *fields {
	f := &fields{at: at}
	if err := json.Unmarshal(raw, &f.of); err != nil || f.of == nil {
		f.of = map[string]json.RawMessage{}
		f.flaw("dict_type", "Input should be a valid dictionary")
	}
	return f
}

func (f *fields) flaw(kind, msg string, at ...any) {
	if len(f.flaws) < maxFlaws {
		f.flaws = append(f.flaws, flaw{kind, append(append([]any{}, f.at...), at...), msg})
	}
}

// err is what was wrong, nil if nothing was.
func (f *fields) err() error {
	if len(f.flaws) == 0 {
		return nil
	}
	return f.flaws
}

// take removes a member; a null is one that is not there.
func (f *fields) take(name string) (json.RawMessage, bool) {
	raw, ok := f.of[name]
	delete(f.of, name)
	return raw, ok && string(raw) != "null"
}

// into reads a member if it is there; kind and what say what it should be.
func (f *fields) into(name string, to any, kind, what string) bool {
	raw, ok := f.take(name)
	if ok && json.Unmarshal(raw, to) != nil {
		f.flaw(kind, "Input should be a valid "+what, name)
		return false
	}
	return ok
}

// text reads a member of at most most characters, "" if it is not there.
func (f *fields) text(name string, most int) string {
	var s string
	f.into(name, &s, "string_type", "string")
	if utf8.RuneCountInString(s) > most {
		f.flaw("string_too_long", fmt.Sprintf("String should have at most %d characters", most), name)
	}
	return s
}

// count reads a whole number that is not below 0, nil if it is not there.
func (f *fields) count(name string) *uint64 {
	var n uint64
	if !f.into(name, &n, "int_type", "integer, and not below 0") {
		return nil
	}
	return &n
}

// dictionary reads a member that is an object, as it is; nil if it is not there.
func (f *fields) dictionary(name string) json.RawMessage {
	raw, ok := f.take(name)
	if ok && raw[0] != '{' {
		f.flaw("dict_type", "Input should be a valid dictionary", name)
	}
	if !ok || raw[0] != '{' {
		return nil
	}
	return raw
}

// required says that a member is missing.
func (f *fields) required(name string) { f.flaw("missing", "Field required", name) }

// nothingElse refuses members that were not taken.
func (f *fields) nothingElse() {
	if len(f.of) == 0 {
		return
	}
	name := slices.Min(slices.Collect(maps.Keys(f.of))) // the first by name, so that equal messages are told the same
	if len(name) > 80 {
		name = strings.ToValidUTF8(name[:80], "") + "…"
	}
	f.flaw("extra_forbidden", "Extra inputs are not permitted", name)
}
