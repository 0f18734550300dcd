package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/astra-arenas/astra"
)

// What a world remembers, and one answer may change of it.
const (
	maxMemory = 64 << 10 // bytes of canonical JSON: all of it is in every prompt
	maxEntity = 256      // bytes of an entity's id
	maxModel  = 200      // bytes of a model's name in a log
)

// A memory is what an emulated world has been told of itself: entities by id. It is never
// changed in place, so forks share it.
type memory struct {
	entities map[string]any // objects, as encoding/json has them with UseNumber
	text     json.RawMessage
}

// newMemory returns the memory of these entities; too many are a *tooMuch.
func newMemory(entities map[string]any) (memory, error) {
	text, err := canonical(entities)
	if err == nil && len(text) > maxMemory {
		err = &tooMuch{"memory", maxMemory, "bytes"}
	}
	return memory{entities, text}, err
}

// changed is the memory after a patch.
func (m memory) changed(p patch) (memory, error) {
	if len(p) == 0 {
		return m, nil
	}
	return newMemory(merge(m.entities, p).(map[string]any))
}

// A patch is a JSON merge patch (RFC 7396) of a memory: each of its values is an object or nil.
type patch map[string]any

func merge(target any, p map[string]any) any {
	old, _ := target.(map[string]any)
	next := make(map[string]any, len(old)+len(p))
	maps.Copy(next, old)
	for key, v := range p {
		switch v := v.(type) {
		case nil:
			delete(next, key)
		case map[string]any:
			next[key] = merge(next[key], v)
		default:
			next[key] = v
		}
	}
	return next
}

// contradicts reports whether a patch takes back or changes what is known, which a tool
// that only reads must not: it may add what nobody asked for before.
func contradicts(known, p map[string]any) bool {
	for key, v := range p {
		old, ok := known[key]
		if !ok {
			continue
		}
		fact, ok := old.(map[string]any)
		change, ok2 := v.(map[string]any)
		if ok && ok2 && !contradicts(fact, change) {
			continue
		}
		if !reflect.DeepEqual(old, v) {
			return true
		}
	}
	return false
}

// strict is a tool without a schema. Its CheckResult wants JSON as the rest of astra reads
// it: UTF-8, no repeated keys, numbers that a double can hold, nesting in bounds.
var strict astra.Tool

// readPatch reads a change of memory. Errors are for the model, or the cassette's author.
func readPatch(raw json.RawMessage) (patch, error) {
	if err := strict.CheckResult(raw); err != nil {
		return nil, fmt.Errorf("memory: %s", strings.TrimPrefix(err.Error(), "result: "))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	p, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("memory: must be an object of entities by id")
	}
	for id, entity := range p {
		if _, ok := entity.(map[string]any); !ok && entity != nil {
			return nil, errors.New("memory: what stands under an entity's id must be an object, or null to forget it")
		}
		if id == "" || len(id) > maxEntity {
			return nil, fmt.Errorf("memory: an entity's id has 1 to %d bytes", maxEntity)
		}
	}
	// Measured as it is kept: what was written must be readable again.
	if text, err := canonical(v); err != nil || len(text) > maxMemory {
		return nil, cmp.Or(err, error(&tooMuch{"memory", maxMemory, "bytes"}))
	}
	return p, nil
}

// canonical is compact JSON with keys in order; numbers keep their digits.
func canonical(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// A note is the line that a step's log keeps of an answer.
type note struct {
	Memory json.RawMessage `json:"memory"`
	Model  string          `json:"model,omitempty"` // who answered
}

// line writes a note. Equal patches are equal lines.
func (p patch) line(model string) (string, error) {
	text, err := canonical(map[string]any(p))
	if err != nil {
		return "", err
	}
	line, err := canonical(note{text, model})
	return string(line), err
}

// readLine reads the note of a step; a step without one changed nothing.
func readLine(log string) (patch, error) {
	if log == "" {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(log))
	d.DisallowUnknownFields()
	var n note
	err := d.Decode(&n)
	if err == nil && d.More() {
		err = errors.New("more follows it")
	}
	if err != nil {
		return nil, fmt.Errorf("the log is no note of an emulated tool: %w", err)
	}
	return readPatch(n.Memory)
}
