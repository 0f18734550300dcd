package sequences

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func tokens(ids ...int32) []int32 { return ids }

func TestMerge(t *testing.T) {
	calls := []Call{
		{Prompt: tokens(1, 2), Sampled: tokens(3, 4), Logprobs: []float64{-1, -2}, Version: 7},
		{Prompt: tokens(1, 2, 3, 4, 5, 6), Sampled: tokens(7), Logprobs: []float64{-3}, Version: 8},
		{Prompt: tokens(1, 2, 3, 4, 5, 6, 7), Sampled: tokens(8), Logprobs: []float64{-4}, Version: 8},
	}
	all, splits, err := Merge(calls)
	if err != nil || len(splits) != 0 || len(all) != 1 {
		t.Fatalf("%d sequences, splits %v, %v", len(all), splits, err)
	}
	want := Sequence{Tokens: tokens(1, 2, 3, 4, 5, 6, 7, 8), Mask: []bool{false, false, true, true, false, false, true, true},
		Logprobs: []float64{0, 0, -1, -2, 0, 0, -3, -4}, Calls: []int{0, 1, 2}, Oldest: 7}
	if !reflect.DeepEqual(all[0], want) || all[0].Sampled() != 4 {
		t.Errorf("sequence = %+v, want %+v", all[0], want)
	}
}

func TestSplits(t *testing.T) {
	first := Call{Prompt: tokens(1, 2), Sampled: tokens(3, 4)}
	for name, c := range map[string]struct {
		second Call
		want   Split
	}{
		"the template writes it otherwise": {Call{Prompt: tokens(1, 2, 3, 9, 5), Sampled: tokens(6)}, Split{Call: 1, Common: 3}},
		"the context was cut":              {Call{Prompt: tokens(1, 5), Sampled: tokens(6)}, Split{Call: 1, Common: 1}},
		"the same prompt again":            {Call{Prompt: tokens(1, 2), Sampled: tokens(6)}, Split{Call: 1, Common: 2, Again: true, Shorter: true}},
		"a shorter prompt":                 {Call{Prompt: tokens(1, 2, 3), Sampled: tokens(6)}, Split{Call: 1, Common: 3, Shorter: true}},
		"another conversation":             {Call{Prompt: tokens(9), Sampled: tokens(6)}, Split{Call: 1}},
	} {
		all, splits, err := Merge([]Call{first, c.second})
		if err != nil || len(all) != 2 || !slices.Equal(splits, []Split{c.want}) {
			t.Errorf("%s: %d sequences, splits %+v, %v; want %+v", name, len(all), splits, err, c.want)
		}
		if all[0].Logprobs != nil {
			t.Errorf("%s: log-probabilities that nobody told", name)
		}
	}
}

// Two conversations of one episode beside each other are each continued.
func TestBesideEachOther(t *testing.T) {
	all, splits, err := Merge([]Call{
		{Prompt: tokens(1), Sampled: tokens(2)},
		{Prompt: tokens(9), Sampled: tokens(8)},
		{Prompt: tokens(1, 2, 3), Sampled: tokens(4)},
		{Prompt: tokens(9, 8, 7), Sampled: tokens(6)},
	})
	if err != nil || len(all) != 2 || len(splits) != 1 || !slices.Equal(all[0].Calls, []int{0, 2}) || !slices.Equal(all[1].Calls, []int{1, 3}) {
		t.Errorf("%+v, %v, %v", all, splits, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	for want, c := range map[string]Call{
		"2 log-probabilities of 1": {Sampled: tokens(1), Logprobs: []float64{-1, -1}},
		"the id -1":                {Prompt: tokens(-1)},
		"log-probability 0.5":      {Sampled: tokens(1), Logprobs: []float64{0.5}},
	} {
		if _, _, err := Merge([]Call{{}, c}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "call 1") {
			t.Errorf("%v, want call 1 and %q", err, want)
		}
	}
	if all, _, err := Merge(nil); err != nil || len(all) != 0 {
		t.Errorf("of no calls: %v, %v", all, err)
	}
}

// No token is lost or made up: each call's tokens stand in its sequence where they were, and
// what is trained on is what was sampled.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{2, 1, 2, 1, 3, 4, 1, 2, 3, 9, 1, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		var calls []Call
		for len(b) >= 2 && len(calls) < 20 {
			p, s := int(b[0]%8), int(b[1]%4)
			if b = b[2:]; len(b) < p+s {
				break
			}
			c := Call{Logprobs: make([]float64, s)}
			for _, id := range b[:p] {
				c.Prompt = append(c.Prompt, int32(id%4))
			}
			for _, id := range b[p : p+s] {
				c.Sampled = append(c.Sampled, int32(id%4))
			}
			calls, b = append(calls, c), b[p+s:]
		}
		all, splits, err := Merge(calls)
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) > 0 && len(splits) != len(all)-1 {
			t.Errorf("%d sequences and %d splits", len(all), len(splits))
		}
		seen := 0
		for _, s := range all {
			sampled := 0
			for _, i := range s.Calls {
				seen++
				c := calls[i]
				end := len(c.Prompt) + len(c.Sampled)
				if end > len(s.Tokens) || !slices.Equal(s.Tokens[:len(c.Prompt)], c.Prompt) || !slices.Equal(s.Tokens[len(c.Prompt):end], c.Sampled) {
					t.Fatalf("call %d is not in its sequence", i)
				}
				sampled += len(c.Sampled)
			}
			if s.Sampled() != sampled || len(s.Mask) != len(s.Tokens) || len(s.Logprobs) != len(s.Tokens) {
				t.Fatalf("%d sampled of %d; mask %d, log-probabilities %d", s.Sampled(), sampled, len(s.Mask), len(s.Logprobs))
			}
		}
		if seen != len(calls) {
			t.Errorf("%d of %d calls are in a sequence", seen, len(calls))
		}
	})
}
