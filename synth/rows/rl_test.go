package rows_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/rows"
)

func readRL(t testing.TB, text string) (all []*rows.RLRow, bad []string) {
	t.Helper()
	for r, err := range rows.ReadRL("f.jsonl", strings.NewReader(text)) {
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		all = append(all, r)
	}
	return all, bad
}

func TestReadRL(t *testing.T) {
	all, bad := readRL(t, fixture(t, "astra_rl.jsonl"))
	if len(all) != 2 || len(bad) != 0 {
		t.Fatalf("%d rows, refused %q", len(all), bad)
	}
	var names []string
	for _, tool := range all[0].Tools {
		names = append(names, tool.Name)
	}
	if want := []string{"reservation_finder", "baggage_allowance_retriever", "baggage_fee_calculator", "payment_processor", "tide_table", "greenhouse_sensor", "library_hours", "coin_converter"}; !slices.Equal(names, want) {
		t.Errorf("tools %q", names)
	}
	if want := []string{"tool_schema has two tools named payment_processor: the first stays, as no call could tell them apart"}; !slices.Equal(all[0].Notes, want) {
		t.Errorf("notes %q", all[0].Notes)
	}
	if want := []string{"tool_dict has no code of no_code: it is left out", "tool_schema has no unseen: it is left out"}; !slices.Equal(all[1].Notes, want) {
		t.Errorf("notes %q", all[1].Notes)
	}
	if want := []rows.Answers{{Tool: "harbour_depth", Gold: []string{"7.25", "11.0"}}, {Tool: "ferry_register", Gold: []string{"'home': 'Norbeck'"}}}; !reflect.DeepEqual(all[1].Answers, want) {
		t.Errorf("answers %+v", all[1].Answers)
	}
}

func TestRefuseRL(t *testing.T) {
	all, bad := readRL(t, fixture(t, "astra_rl_bad.jsonl"))
	want := []string{
		`f.jsonl:1: sub_qa_dict names "other", of which tool_dict has no code`,
		`f.jsonl:2: the code of "harbour_depth" has no function of that name`,
		`f.jsonl:3: sub_qa_dict names "harbour_depth", which is not in tool_schema: no agent can call it`,
		`f.jsonl:4: sub_qa_dict: an answer of harbour_depth has 0 bytes, and may have 1 to 4096: an empty one is in every output`,
		`f.jsonl:5: sub_qa_dict is empty: nothing could be scored`,
		`f.jsonl:6: prompt is empty; write what is asked`,
		`f.jsonl:7: tool_schema is missing; an ASTRA-RL row has prompt, tool_schema, tool_dict and sub_qa_dict`,
		`f.jsonl:8: prompt is not one message of a user; `,
		`f.jsonl:9: tool_schema: "reset" is reserved`,
		`f.jsonl:10: tool_schema: `,
		`f.jsonl:11: tool_dict has "a" twice; keep one`,
		`f.jsonl:12: no JSON: `,
	}
	if len(all) > 0 || len(bad) != len(want) {
		t.Fatalf("%d taken, refused %q", len(all), bad)
	}
	for i := range want {
		if !strings.HasPrefix(bad[i], want[i]) {
			t.Errorf("got  %s\nwant %s", bad[i], want[i])
		}
	}
}

func TestRLRoundTrip(t *testing.T) {
	all, _ := readRL(t, fixture(t, "astra_rl.jsonl"))
	for _, r := range all {
		var b bytes.Buffer
		if err := rows.WriteRL(&b, r); err != nil {
			t.Fatal(err)
		}
		again, bad := readRL(t, b.String())
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		x, err := r.Arena()
		if err != nil {
			t.Fatal(err)
		}
		again[0].Notes = r.Notes // what was left out is not there a second time
		if y, err := again[0].Arena(); err != nil || x.Digest() != y.Digest() {
			t.Errorf("another arena, %v", err)
		}
		if again[0].Line = r.Line; !reflect.DeepEqual(again[0], r) {
			t.Errorf("got  %+v\nwant %+v", again[0], r)
		}
	}
}

func FuzzReadRL(f *testing.F) {
	for _, name := range []string{"astra_rl.jsonl", "astra_rl_bad.jsonl"} {
		for line := range strings.Lines(fixture(f, name)) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for r, err := range rows.ReadRL("f", strings.NewReader(text)) {
			if err != nil {
				continue
			}
			if _, err := r.Arena(); err != nil {
				continue // the arena's rules say why
			}
			var b bytes.Buffer
			if err := rows.WriteRL(&b, r); err != nil {
				t.Fatal(err)
			}
			again, bad := readRL(t, b.String())
			if len(again) != 1 || !reflect.DeepEqual(again[0].Answers, r.Answers) || !reflect.DeepEqual(again[0].Tools, r.Tools) {
				t.Fatalf("%s\nbecame %+v %q", b.String(), again, bad)
			}
		}
	})
}
