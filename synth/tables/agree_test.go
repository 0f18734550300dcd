package tables

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
)

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func ferries(t testing.TB) []*Table {
	t.Helper()
	all, err := Read([]string{"../../examples/tables/ferries"})
	if err != nil {
		t.Fatal(err)
	}
	if err := Profile(all, nil); err != nil {
		t.Fatal(err)
	}
	for _, tb := range all { // as the labels of the example do
		if i := tb.column("speed_kn"); i >= 0 {
			tb.Columns[i].Unit = "knots"
		}
	}
	return all
}

// What is computed here is what the arena's JavaScript answers, for every tool, with
// arguments that fit rows and arguments that do not.
func TestToolsAgree(t *testing.T) {
	all := ferries(t)
	a := newArena(0, all, 0, true)
	inst := world(t, a, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	fine := map[op]int{}
	for _, tl := range a.tools {
		for range 60 {
			args := someArgs(rng, all, tl)
			want, wantErr := tl.eval(args)
			got, err := inst.Call(t.Context(), tl.name, json.RawMessage(encode(args)))
			if err != nil {
				t.Fatal(err)
			}
			if got.OK() != (wantErr == nil) {
				if tl.filters != nil && len(given(tl, args)) == 0 {
					continue // the tool wants to be told which rows
				}
				t.Fatalf("%s(%s) = %s %s; here %v %v", tl.name, encode(args), got.Value, got.Error, want, wantErr)
			}
			if !got.OK() {
				continue
			}
			fine[tl.op]++
			if !astra.Same(json.RawMessage(encode(want)), got.Value, nil) {
				t.Fatalf("%s(%s) = %s; here %s", tl.name, encode(args), got.Value, encode(want))
			}
		}
	}
	for _, o := range []op{opFind, opGet, opList, opCount, opHighest, opLowest, opTop, opTotal, opAverage, opDifference, opSum, opRatio, opPercent, opRank, opCommon, opDays, opShift, opConvert} {
		if fine[o] < 10 {
			t.Errorf("%s was compared %d times", o, fine[o])
		}
	}
}

func given(tl *tool, args object) (names []string) {
	for _, f := range tl.filters {
		if _, ok := args[f.param]; ok {
			names = append(names, f.param)
		}
	}
	return names
}

// world is an arena's world with that scenario, in the real sandbox.
func world(t testing.TB, a *arena, scenario json.RawMessage) gateway.Instance {
	t.Helper()
	arena, err := a.load([]*astra.Task{{ID: "one", Turns: []astra.TaskTurn{{Prompt: "Ask."}}, Answer: &astra.Answer{Expected: json.RawMessage(`"x"`)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := gatewaytest.JavaScript(t).Load(t.Context(), arena)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	inst, err := p.Start(t.Context(), gateway.World{Now: today, Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inst.Close() })
	return inst
}

// someArgs draws arguments: of each parameter a value that some row has, now and then
// another, and optional ones now and then.
func someArgs(rng *rand.Rand, all []*Table, tl *tool) object {
	args := object{}
	for _, p := range tl.params {
		if !p.required && rng.IntN(3) > 0 || p.name == "limit" || p.name == "match" || p.name == "decimals" {
			continue
		}
		args[p.name] = someValue(rng, all, tl, p.name)
	}
	return args
}

func someValue(rng *rand.Rand, all []*Table, tl *tool, param string) any {
	row := func(t *Table, col int) any {
		if v := t.Rows[rng.IntN(len(t.Rows))][col]; v != nil && rng.IntN(12) > 0 {
			return v
		}
		if t.Columns[col].Kind.numeric() {
			return 3.0
		}
		return "nothing"
	}
	number := func() float64 { return float64(rng.IntN(4000)) / 4 }
	key := func() any { return row(all[0], all[0].Key) }
	switch {
	case param == "rank" || param == "count":
		return float64(2 + rng.IntN(5))
	case param == "values":
		return []any{number(), number(), number()}
	case param == "items":
		return []any{object{"label": key(), "value": number()}, object{"label": key(), "value": number()}, object{"label": "x", "value": 7.0}}
	case param == "lists":
		return []any{[]any{key(), key(), key(), key()}, []any{key(), key(), key(), key(), key(), key()}}
	case tl.op == opConvert && param != "value":
		return pick(rng, sortedKeys(tl.factors))
	case tl.op == opDays || tl.op == opShift && param == "date":
		return day(today, rng.IntN(1000))
	case tl.op == opShift:
		return float64(rng.IntN(200) - 100)
	case tl.table == nil:
		return number()
	case tl.op == opFind:
		return row(tl.table, tl.table.Title)
	case tl.op == opFindBy:
		return row(tl.table, tl.col)
	case tl.op == opGet:
		return row(tl.table, tl.table.Key)
	}
	for _, f := range tl.filters {
		if f.param == param && f.how == "word" {
			return "er"
		}
		if f.param == param {
			return row(tl.table, f.col)
		}
	}
	return nil
}
