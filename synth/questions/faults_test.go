package questions_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/gateway/gatewaytest"
	"github.com/astra-arenas/astra/synth/questions"
	"github.com/astra-arenas/astra/synth/questions/authortest"
	"github.com/astra-arenas/astra/verifiers"
)

// What becomes of three questions of three shapes under each fault: how many arenas, and
// what the others were rejected for ("?" before it where nobody could judge).
var outcomes = map[string]struct {
	arenas int
	reason string
}{
	"busy-once": {3, ""}, "down-once": {3, ""}, "stall-once": {3, ""}, "schemaless": {3, ""},
	"too-long": {0, "?necessity: refused by the server"},

	"think": {3, ""}, "malformed-once": {3, ""}, "chatty-once": {3, ""},
	"malformed": {0, "?dependency: no JSON"}, "refusal": {0, "?instance: no JSON"}, "cut": {0, "?code: cut"}, "thoughts-only": {0, "?necessity: no JSON"},

	"cycle": {0, "instance: acyclic"}, "hop-levels": {0, "instance: hop_level"}, "scenario": {0, "instance: scenario"},
	"empty-answer": {0, "instance: answer"}, "other-language": {0, "instance: language"}, "inner-without-tool": {0, "necessity: leaf"},

	"strict-judge": {0, "below the threshold"}, "unsure-judge": {0, "?completeness: unsure"}, "absent-judge": {0, "?dependency: no verdict"},
	"unsure-of-one": {0, "?atomicity: unsure"}, "unsure-of-series": {0, "?serialisation: unsure"}, "series-judge": {0, "below the threshold"}, "children-first": {3, ""},
	"score-judge": {0, "?completeness: no JSON"}, "empty-judge": {0, "?serialisation: no verdict"},

	"constant": {0, "few others|other answer|constant answer"}, "constant-in-code": {0, "answer in the code"}, "random": {0, "random"}, "answers-anything": {0, "argument ignored"}, "needless-argument": {3, ""},
	"wrong-value": {0, "wrong answer|call fails"}, "syntax-error": {0, "does not load"}, "endless": {0, "call fails"}, "no-others": {0, "few others"}, "code-once": {3, ""},
	"impossible": {0, "impossible call"}, "ignores-parents": {0, "call: call"}, "optional-parents": {0, "scaling: document"},
	"leaking-document": {0, "document: leak"}, "leaking-default": {0, "scaling: leak"}, "reserved-name": {0, "document: document"}, "bad-schema": {0, "document: document"},

	"name-collision": {3, ""}, "merge-forgets": {3, ""}, "merge-everything": {3, ""}, "merge-unreadable": {3, ""}, "merge-forget-once": {3, ""},
}

// certified is the real certifier, which nothing that comes out of a fault may get past.
func certified(t *testing.T, rt gateway.Runtime) questions.Certifier {
	return func(ctx context.Context, b *astra.Bundle) (bool, []string, error) {
		judge, err := verifiers.New()
		if err != nil {
			return false, nil, err
		}
		gw, err := gateway.New(ctx, gatewaytest.Store(t, t.TempDir()), judge, []gateway.Runtime{rt}, nil)
		if err != nil {
			return false, nil, err
		}
		defer gw.Close()
		a, err := gw.AddArena(ctx, b)
		if err != nil {
			return false, []string{err.Error()}, nil
		}
		cert, err := certify.Arena(ctx, gw, a.Ref(), &certify.Options{RandomPlays: 5})
		if err != nil || cert.Passed {
			return cert != nil && cert.Passed, nil, err
		}
		check, found := cert.First()
		return false, []string{fmt.Sprintf("%s: %+v", check, found)}, nil
	}
}

func TestFaults(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(authortest.Faults)) {
		want, ok := outcomes[name]
		if !ok {
			t.Errorf("nothing is said about the fault %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := &questions.Options{Threshold: 0.9, CodeTries: 3, CallTries: 2}
			d := newDesk(t, authortest.Faults[name], opts)
			d.certify = certified(t, d.runtime)
			d.sit(opts)
			sources, n := three, 3
			if name == "endless" { // takes all its fuel each time
				sources, n = only(1, english), 1
			}
			arenas := d.mustWrite(sources)
			goldScores(t, d.runtime, arenas)
			if len(arenas) != want.arenas {
				t.Errorf("%d arenas, want %d; rejected: %v", len(arenas), want.arenas, d.reasons())
			}
			checkTools(t, name, arenas)
			reason, unknown := strings.CutPrefix(want.reason, "?")
			for got := range d.reasons() {
				if !slices.Contains(strings.Split(reason, "|"), got) {
					t.Errorf("rejected for %q, want %q", got, reason)
				}
			}
			if unknowns := d.unknown(); (unknowns == n) != unknown || !unknown && unknowns > 0 {
				t.Errorf("%d unknown, want all: %v; %v", unknowns, unknown, d.reasons())
			}
		})
	}
}

// checkTools looks at what a fault should have left in the arenas that came out.
func checkTools(t *testing.T, fault string, arenas []questions.Arena) {
	t.Helper()
	merged := 0
	for _, a := range arenas {
		for _, e := range a.Drafts[0].Environments {
			if e.Merged {
				merged++
			}
			if strings.Contains(string(e.Args), "details") {
				t.Errorf("gold has an argument that changes nothing: %s", e.Args)
			}
		}
	}
	apart := map[string]bool{"merge-forgets": true, "merge-unreadable": true, "name-collision": true}
	if len(arenas) == 3 && (merged == 2) == apart[fault] {
		t.Errorf("%d merged", merged)
	}
}
