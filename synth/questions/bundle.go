package questions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// An arenaDraft is all that an arena is written from. Tools are written the same way for a
// trial and for the arena that ships.
type arenaDraft struct {
	runtime      astra.RuntimeKind
	name         string
	title        string
	description  string
	domain       string
	license      string
	environments []Environment // those of one tool's name share it
	tasks        []*astra.Task
	provenance   any
}

// tools are the environments without those that share an earlier one's tool.
func (d *arenaDraft) tools() []*Environment {
	seen := map[string]bool{}
	var all []*Environment
	for i := range d.environments {
		if e := &d.environments[i]; !seen[e.Tool.Name] {
			seen[e.Tool.Name] = true
			all = append(all, e)
		}
	}
	return all
}

func bundle(d *arenaDraft) (*astra.Bundle, error) {
	files := []astra.File{}
	manifest, err := d.manifest()
	if err != nil {
		return nil, err
	}
	files = append(files, astra.File{Path: "arena.yaml", Data: manifest})
	var entry bytes.Buffer
	if d.runtime == astra.Python {
		entry.WriteString("\"\"\"The tools. What each knows is in data/NAME.json, and how it tells it in data/tool_NAME.py.\"\"\"\n\nimport json\n\nimport astra\n\n")
	} else {
		entry.WriteString("// The tools. What each knows is in data/NAME.json; it is read anew for each call, so that no call changes another.\n")
	}
	for _, e := range d.tools() {
		if d.runtime == astra.Python {
			files = append(files, astra.File{Path: "data/tool_" + e.Tool.Name + ".py", Data: []byte(strings.TrimRight(e.Code, "\n") + "\n")})
			writePython(&entry, e)
		} else {
			writeJavaScript(&entry, e)
		}
		files = append(files, astra.File{Path: "data/" + e.Tool.Name + ".json", Data: append(bytes.TrimSpace(e.Data), '\n')})
	}
	files = append(files, astra.File{Path: entryOf(d.runtime), Data: entry.Bytes()})
	if len(d.tasks) > 0 {
		var lines bytes.Buffer
		for _, t := range d.tasks {
			line, err := synth.JSON(t)
			if err != nil {
				return nil, err
			}
			lines.Write(append(line, '\n'))
		}
		files = append(files, astra.File{Path: "tasks.jsonl", Data: lines.Bytes()})
	}
	return astra.NewBundle(files)
}

func entryOf(k astra.RuntimeKind) string {
	if k == astra.Python {
		return "tools.py"
	}
	return "tools.js"
}

// maxMessage is how much of an error a tool tells: many quote the argument they cannot
// use, however long.
const maxMessage = 500

// writeJavaScript puts the code in a function of its own, whose names are nobody else's. No
// tool's name has a $ in it.
func writeJavaScript(b *bytes.Buffer, e *Environment) {
	fmt.Fprintf(b, `
const $%[1]s = (() => {
%[2]s
return run;
})();
const $%[1]s_data = host.data("%[1]s.json");
export function %[1]s(args) {
  try {
    return $%[1]s(args, JSON.parse($%[1]s_data));
  } catch (e) {
    throw new Error(String(e?.message ?? e).slice(0, %[3]d));
  }
}
`, e.Tool.Name, strings.TrimRight(e.Code, "\n"), maxMessage)
}

func writePython(b *bytes.Buffer, e *Environment) {
	fmt.Fprintf(b, `
import tool_%[1]s as _%[1]s

_%[1]s_data = astra.data("%[1]s.json")


def %[1]s(**args):
    try:
        return _%[1]s.run(args, json.loads(_%[1]s_data))
    except Exception as e:
        raise ValueError(str(e)[:%[2]d]) from None

`, e.Tool.Name, maxMessage)
}

type manifestTool struct {
	Document
	Annotations struct {
		ReadOnly    bool `json:"read_only"`
		Destructive bool `json:"destructive"`
		Idempotent  bool `json:"idempotent"`
		OpenWorld   bool `json:"open_world"`
	} `json:"annotations"`
}

// manifest is YAML whose values are JSON, a key a line.
func (d *arenaDraft) manifest() ([]byte, error) {
	var b bytes.Buffer
	for _, line := range []struct {
		key   string
		value any
	}{{"name", d.name}, {"version", "1.0.0"}, {"title", d.title}, {"description", d.description}, {"domain", d.domain}, {"license", d.license}, {"runtime", d.runtime}, {"provenance", d.provenance}} {
		if line.value == nil || line.value == "" {
			continue
		}
		text, err := synth.JSON(line.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s: %s\n", line.key, text)
	}
	b.WriteString("tools:\n")
	for _, e := range d.tools() {
		t := manifestTool{Document: e.Tool}
		t.Annotations.ReadOnly, t.Annotations.Idempotent = true, true
		if len(t.Output) == 0 {
			t.Output = json.RawMessage(`{}`)
		}
		text, err := synth.JSON(t)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "  - %s\n", text)
	}
	return b.Bytes(), nil
}
