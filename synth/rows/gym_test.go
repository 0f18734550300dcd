package rows_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

func TestGym(t *testing.T) {
	a := quay(t, quayCode, quayTools, quayTask)
	r, err := rows.GymOf(a, &a.Tasks[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := rows.WriteGym(&b, r); err != nil {
		t.Fatal(err)
	}
	want := `{"responses_create_params":{"input":[{"role":"user","content":"Where is the crane for 40 t?"}],"tools":[` +
		`{"type":"function","name":"crane","description":"Finds a crane.","parameters":{"type":"object","properties":{"load":{"type":"number"}},"required":["load"]},"strict":false},` +
		`{"type":"function","name":"berth","description":"Finds a berth.","parameters":{"type":"object","properties":{"crane":{"type":"string"}},"required":["crane"]},"strict":false}],"parallel_tool_calls":false},` +
		`"id":"quay/q","environment_name":"quay","verifier_metadata":{"arena":"quay","digest":"` + string(a.Digest) + `","task":"q","split":"train"},"agent_ref":{"type":"responses_api_agents","name":"astra_simple_agent"}}` + "\n"
	if b.String() != want {
		t.Errorf("got  %s\nwant %s", b.String(), want)
	}
}

// What is hidden of a task is nowhere in its row.
func TestGymHides(t *testing.T) {
	secret := "CANARY"
	a := quay(t, quayCode+"# "+secret+"\n", quayTools, `{"id": "q", "turns": [{"prompt": "?"}], "scenario": {"x": "CANARY"}, "gold": [[{"tool": "crane", "args": {"load": 77123}}]], `+
		`"subtasks": [{"id": "CANARY", "question": "CANARY", "tool": "crane", "answer": "CANARY"}, {"id": "b", "tool": "berth", "solved": "step.value == 'CANARY'"}], "answer": {"expected": "CANARY"}, "verify": {"CANARY": "answer == 'CANARY'"}, "seed": 77123}`,
		astra.File{Path: "data/x.txt", Data: []byte(secret)})
	r, err := rows.GymOf(a, &a.Tasks[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), "77123") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestRefuseGym(t *testing.T) {
	two := quay(t, quayCode, quayTools, `{"id": "q", "turns": [{"prompt": "a"}, {"prompt": "b"}], "answer": {"expected": "x"}}`)
	if _, err := rows.GymOf(two, &two.Tasks[0], nil); err == nil || !strings.Contains(err.Error(), "2 turns, and a row has one") {
		t.Errorf("turns: %v", err)
	}
	derived := quay(t, quayCode, "  - {name: crane, description: c}\n  - {name: berth, description: b}\n", quayTask)
	if _, err := rows.GymOf(derived, &derived.Tasks[0], nil); err == nil || !strings.Contains(err.Error(), "write input") {
		t.Errorf("derived: %v", err)
	}
	far := quay(t, quayCode, quayTools, strings.Replace(quayTask, `"id": "q",`, `"id": "q", "distractors": ["gone/x"],`, 1))
	if r, err := rows.GymOf(far, &far.Tasks[0], &rows.ExportOptions{Agent: "mine"}); err != nil || len(r.Notes) != 1 || r.AgentRef.Name != "mine" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := rows.GymOf(far, &far.Tasks[0], &rows.ExportOptions{Invalid: "zero"}); err == nil || !strings.Contains(err.Error(), `no way "zero"`) {
		t.Errorf("another way to tell what is invalid: %v", err)
	}
}
