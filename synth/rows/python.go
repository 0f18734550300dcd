package rows

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// A pythonTool is one Python function and its document, on the way into a bundle.
type pythonTool struct {
	name        string // what agents call
	function    string // what its source defines
	description string
	parameters  json.RawMessage
	code        string
}

// A pythonArena is an arena of such tools.
type pythonArena struct {
	name, title, description, domain string
	provenance                       map[string]any
	tools                            []pythonTool
	tasks                            []*astra.Task
}

// id names the arena by its tools and tasks.
func (a *pythonArena) id() string {
	h := sha256.New()
	for _, t := range a.tools {
		fmt.Fprintf(h, "%q %q %q %s %q\n", t.name, t.function, t.description, t.parameters, t.code)
	}
	for _, t := range a.tasks {
		line, _ := encode(t) // a task of ours encodes
		h.Write(line)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// wrapper calls a tool's function, and tells what it returned as print would: the paper's
// sandbox prints the call, and looks for the answer in what was printed.
const wrapper = `

def %[1]s(**args):
    return str(_%[1]s.%[2]s(**args))
`

// bundle writes the arena. Each tool's source is a module of its own.
func (a *pythonArena) bundle() (*astra.Bundle, error) {
	manifest, err := a.manifest()
	if err != nil {
		return nil, err
	}
	var entry bytes.Buffer
	entry.WriteString("\"\"\"The tools as they came, each in a module of its own: data/tool_NAME.py.\"\"\"\n\n")
	files := []astra.File{{Path: "arena.yaml", Data: manifest}}
	for _, t := range a.tools {
		fmt.Fprintf(&entry, "import tool_%[1]s as _%[1]s\n", t.name)
		files = append(files, astra.File{Path: "data/tool_" + t.name + ".py", Data: []byte(strings.TrimRight(t.code, "\n") + "\n")})
	}
	for _, t := range a.tools {
		fmt.Fprintf(&entry, wrapper, t.name, t.function)
	}
	var tasks bytes.Buffer
	for _, t := range a.tasks {
		line, err := encode(t)
		if err != nil {
			return nil, err
		}
		tasks.Write(append(line, '\n'))
	}
	files = append(files, astra.File{Path: "tools.py", Data: entry.Bytes()}, astra.File{Path: astra.TasksFile, Data: tasks.Bytes()})
	return astra.NewBundle(files)
}

// manifest is arena.yaml, written as JSON, which is YAML too.
func (a *pythonArena) manifest() ([]byte, error) {
	type tool struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Input       json.RawMessage `json:"input"`
		Annotations map[string]bool `json:"annotations"`
	}
	var m struct {
		Name        string         `json:"name"`
		Version     string         `json:"version"`
		Title       string         `json:"title,omitempty"`
		Description string         `json:"description"`
		Domain      string         `json:"domain,omitempty"`
		Runtime     string         `json:"runtime"`
		Limits      map[string]any `json:"limits"`
		Tools       []tool         `json:"tools"`
		Provenance  map[string]any `json:"provenance"`
	}
	m.Name, m.Version, m.Title, m.Description, m.Domain, m.Runtime = a.name, "1.0.0", a.title, a.description, a.domain, "python"
	m.Limits = map[string]any{"memory": "64MiB", "fuel": 500_000_000}
	m.Provenance = a.provenance
	for _, t := range a.tools {
		// What a stranger's function does to its module is not known: nothing is promised.
		m.Tools = append(m.Tools, tool{t.name, t.description, t.parameters, map[string]bool{"read_only": false, "destructive": false, "idempotent": false, "open_world": false}})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(m)
	return b.Bytes(), err
}

// check says what keeps a tool out of an arena.
func (t *pythonTool) check() error {
	switch {
	case astra.ToolNameError(t.name) != nil:
		return fmt.Errorf("tool %s: %w", clip(t.name), astra.ToolNameError(t.name))
	case strings.TrimSpace(t.code) == "":
		return fmt.Errorf("tool %s has no code", t.name)
	case !strings.Contains(t.code, "def "+t.function):
		return fmt.Errorf("tool %s: its code defines no function %s", t.name, clip(t.function))
	}
	return nil
}

// schema is a tool's parameters as a schema of an object, whatever was there.
func schema(raw json.RawMessage) json.RawMessage {
	var m map[string]json.RawMessage
	if decode(raw, &m) != nil || m == nil {
		return json.RawMessage(`{"type": "object"}`)
	}
	m["type"] = json.RawMessage(`"object"`)
	b, err := encode(m)
	if err != nil {
		return json.RawMessage(`{"type": "object"}`)
	}
	return b
}

// parameters are the names of a schema's properties, in the order in which they stand.
func parameters(raw json.RawMessage) []string {
	var m struct {
		Properties json.RawMessage `json:"properties"`
	}
	if decode(raw, &m) != nil || len(m.Properties) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(m.Properties))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var names []string
	for d.More() {
		key, err := d.Token()
		var skip json.RawMessage
		if err != nil || d.Decode(&skip) != nil {
			return names
		}
		names = append(names, fmt.Sprint(key))
	}
	return names
}

// containing is the paper's rule as CEL: the answer stands in what the tool printed.
func containing(answer string) (string, error) {
	b, err := encode(answer) // JSON's escapes are CEL's
	return fmt.Sprintf("step.value.contains(%s)", b), err
}

// answerText is an answer as Python prints it within a text.
func answerText(raw json.RawMessage) (string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return map[bool]string{true: "True", false: "False"}[v], nil
	}
	return "", errors.New("it is neither text nor a number")
}

// sorted is the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
