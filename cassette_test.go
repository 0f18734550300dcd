package astra_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func recordings(m astra.Match, scenario string, calls ...string) []astra.Recording {
	k := astra.CassetteStart(json.RawMessage(scenario))
	var all []astra.Recording
	for _, args := range calls {
		k = m.Next(k, "add", json.RawMessage(args))
		all = append(all, astra.Recording{Key: k, Tool: "add", Args: json.RawMessage(args), Result: astra.Result{Value: json.RawMessage(args)}})
	}
	return all
}

// TestCassetteKeys tells which calls share an answer.
func TestCassetteKeys(t *testing.T) {
	episode := recordings(astra.MatchEpisode, "", `{"n":1}`, `{"n":1}`)
	if episode[0].Key == episode[1].Key {
		t.Error("a repeated call has the key of the first")
	}
	if other := recordings(astra.MatchEpisode, `{"total":1}`, `{"n":1}`); other[0].Key == episode[0].Key {
		t.Error("the scenario is not in the key")
	}
	call := recordings(astra.MatchCall, "", `{"n":1}`, `{"n":1}`, `{"n":2}`)
	if call[0].Key != call[1].Key || call[0].Key == call[2].Key {
		t.Errorf("keys by call: %s %s %s", call[0].Key, call[1].Key, call[2].Key)
	}
}

func TestCassetteRoundTrip(t *testing.T) {
	var c astra.Cassette
	want := recordings(astra.MatchEpisode, "", `{"n":"<1>&"}`, `{"n":2}`)
	want[1].Result = astra.Failed(astra.FaultTool, "no such thing")
	for _, r := range append(want, want[0]) {
		c.Add(r)
	}
	text, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b, err := astra.NewBundle([]astra.File{{Path: astra.CassetteFile, Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	read, err := astra.ReadCassette(b)
	if err != nil || read.Len() != 2 {
		t.Fatalf("ReadCassette: %d entries, %v", read.Len(), err)
	}
	if res, ok := read.Find(want[1].Key); !ok || res.Error != "no such thing" {
		t.Errorf("Find = %+v, %v", res, ok)
	}
	if res, ok := read.Find(want[0].Key); !ok || string(res.Value) != `{"n":"<1>&"}` {
		t.Errorf("Find = %s, %v: recorded bytes must come back as they were", res.Value, ok)
	}
}

func TestCassetteRefuses(t *testing.T) {
	entry := `{"key":"k","tool":"t","args":{},"result":{"value":1}}`
	for text, want := range map[string]string{
		entry + "\n" + entry:                  "cassette.jsonl:2: the key \"k\" comes twice",
		`{"key":"k"}`:                         "neither a value nor an error",
		`{"kay":"k"}`:                         "cassette.jsonl:1: ",
		`{"key":"k","result":{"error":"no"}}`: "an error has a fault",
		"\n[]":                                "cassette.jsonl:2: ",
	} {
		b, err := astra.NewBundle([]astra.File{{Path: astra.CassetteFile, Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := astra.ReadCassette(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// What reached no tool is no part of a recording, nor of the keys of what comes after it.
func TestRecordings(t *testing.T) {
	step := func(args string, r astra.Result) astra.Step {
		return astra.Step{Tool: "add", Args: json.RawMessage(args), Result: r}
	}
	one := astra.Result{Value: json.RawMessage("1")}
	want := recordings(astra.MatchEpisode, `{"total":1}`, `{"n":1}`, `{"n":2}`)
	got := astra.MatchEpisode.Recordings(json.RawMessage(`{"total":1}`), []astra.Step{
		step(`{"n":1}`, one),
		step(`{"n":"x"}`, astra.Failed(astra.FaultAgent, "n must be a number")),
		step(`{"n":3}`, astra.Failed(astra.FaultTool, astra.UnknownCall)),
		step(`{"n":4}`, astra.Result{Error: "too large", Fault: astra.FaultTool, Breach: true}),
		step(`{"n":2}`, astra.Failed(astra.FaultTool, "no such thing")),
	})
	if len(got) != 2 || got[0].Key != want[0].Key || got[1].Key != want[1].Key || got[1].Result.Error != "no such thing" {
		t.Errorf("Recordings = %+v", got)
	}
}
