package rows

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// A draft is what an arena of Python sources is written from.
type draft struct {
	name        string
	title       string
	description string
	domain      string
	printed     bool // tools return what they would have printed, as text
	tools       []Tool
	tasks       []*astra.Task
	provenance  map[string]any
}

// A Tool is one of a row's, with its code.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON Schema of an object
	Source      string          // Python, with a function of the tool's name
}

// sourcePath is where a tool's source lies in the bundle.
func sourcePath(tool string) string { return "data/" + moduleOf(tool) + ".py" }

func moduleOf(tool string) string { return "tool_" + tool }

// bundle writes the arena. What the rules of arenas refuse is a *astra.BundleErrors.
func (d *draft) bundle() (*astra.Bundle, error) {
	manifest, err := d.manifest()
	if err != nil {
		return nil, err
	}
	tasks, err := taskLines(d.tasks)
	if err != nil {
		return nil, err
	}
	files := []astra.File{{Path: "arena.yaml", Data: manifest}, {Path: "tasks.jsonl", Data: tasks}}
	files = append(files, d.code()...)
	for i := range d.tools {
		files = append(files, astra.File{Path: sourcePath(d.tools[i].Name), Data: []byte(d.tools[i].Source)})
	}
	b, err := astra.NewBundle(files)
	if err != nil {
		return nil, err
	}
	_, err = b.Load()
	return b, err
}

func taskLines(tasks []*astra.Task) ([]byte, error) {
	var b bytes.Buffer
	for _, t := range tasks {
		line, err := synth.JSON(t)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}

// The entry is made of calls of a module of ours, so that no name of a tool can hide one that
// it uses itself.
const entryText = `"""The tools, run as they are. Each is a module of its own, data/tool_NAME.py."""

import astra_row as _astra_row

for _astra_row.name in %s:
    globals()[_astra_row.name] = _astra_row.tool(_astra_row.name)
`

const loadText = `import contextlib
import importlib
import io


def load(name):
    """The function of that name in the module of that tool. If there is none its calls fail, and no others."""
    try:
        return getattr(importlib.import_module("tool_" + name), name)
    except (Exception, SystemExit) as e:
        why = f"{name} does not load: {type(e).__name__}: {e}"[:500]

    def broken(**args):
        raise RuntimeError(why)

    return broken


`

// printedText has the paper's sandbox in it, which tells what is printed.
const printedText = `def tool(name):
    """Returns what print(call) would have printed, after what the call itself prints."""
    function = load(name)

    def call(**args):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            print(function(**args))
        return out.getvalue().removesuffix("\n")

    return call
`

const valueText = `def tool(name):
    """Returns what the call returns; what it prints goes to the log."""
    return load(name)
`

// code is tools.py and the module that it uses.
func (d *draft) code() []astra.File {
	var names []string
	for i := range d.tools {
		names = append(names, strconv.Quote(d.tools[i].Name))
	}
	row := loadText + valueText
	if d.printed {
		row = loadText + printedText
	}
	return []astra.File{
		{Path: "tools.py", Data: fmt.Appendf(nil, entryText, "["+strings.Join(names, ", ")+"]")},
		{Path: "data/astra_row.py", Data: []byte(row)},
	}
}

// manifest is YAML whose values are JSON, a key a line.
func (d *draft) manifest() ([]byte, error) {
	var b bytes.Buffer
	write := func(prefix string, v any) error {
		text, err := synth.JSON(v)
		fmt.Fprintf(&b, "%s%s\n", prefix, escaped(text))
		return err
	}
	for _, line := range []struct {
		key   string
		value any
	}{{"name", d.name}, {"version", "1.0.0"}, {"title", d.title}, {"description", d.description}, {"domain", d.domain}, {"runtime", astra.Python}, {"provenance", d.provenance}} {
		if line.value == "" {
			continue
		}
		if err := write(line.key+": ", line.value); err != nil {
			return nil, err
		}
	}
	b.WriteString("tools:\n")
	for i := range d.tools {
		if err := write("  - ", d.tool(i)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func (d *draft) tool(i int) map[string]any {
	t := &d.tools[i]
	m := map[string]any{"name": t.Name, "description": t.Description, "input": t.Parameters}
	if strings.TrimSpace(t.Description) == "" {
		m["description"] = "(The row has no description.)"
	}
	if len(t.Parameters) == 0 {
		m["input"] = json.RawMessage(`{"type":"object"}`)
	}
	if d.printed {
		m["output"] = json.RawMessage(`{"type":"string"}`)
	}
	return m
}

// escaped is JSON without the characters that JSON takes as they are and YAML does not.
func escaped(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		if r < 0x7f || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x`, 0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.Bytes()
}

// nameOf names by content: 16 hex digits.
func nameOf(content []byte) string {
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:8])
}
