package scores

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

// Scores are the seven, and their mean.
type Scores struct {
	QU   Part     `json:"query_understanding"`
	QP   Part     `json:"query_plan"`
	TCU  Part     `json:"tool_understanding"`
	TCP  Part     `json:"tool_plan"`
	TCS  Part     `json:"tool_success"`
	TC   Part     `json:"tool_conciseness"`
	FA   Part     `json:"final_answer"`
	Mean *float64 `json:"mean,omitempty"` // nil if any part is unknown
}

// A Part is one score. It is unknown if anything that it is made of is.
type Part struct {
	Value  *float64 `json:"value,omitempty"`  // in [0, 1]; nil: unknown
	Reason string   `json:"reason,omitempty"` // why it is unknown
	Notes  []Note   `json:"notes,omitempty"`  // what it is the mean of
}

// A Note is a judgement on one message or call.
type Note struct {
	Of    int      `json:"of"`              // which, from 1
	Value *float64 `json:"value,omitempty"` // nil: unknown
	Rule  bool     `json:"rule,omitempty"`  // no model was asked
	Why   string   `json:"why,omitempty"`
}

func rule(of int, value float64, why string) Note {
	return Note{Of: of, Value: &value, Rule: true, Why: why}
}

// ruled is a part that a rule decides.
func ruled(value float64, why string) Part {
	return Part{Value: &value, Notes: []Note{rule(0, value, why)}}
}

func unknown(why string) Part { return Part{Reason: why} }

// averaged is a part that is the mean of its notes.
func averaged(notes []Note) Part {
	p, sum := Part{Notes: notes}, 0.0
	for _, n := range notes {
		if n.Value == nil {
			p.Reason = cmp.Or(n.Why, "unsure")
			return p
		}
		sum += *n.Value
	}
	if len(notes) == 0 {
		return unknown("there is nothing to judge")
	}
	p.Value = number(sum / float64(len(notes)))
	return p
}

// A Named part is one with its name.
type Named struct {
	Name string
	*Part
}

// Parts are the seven, in the paper's order.
func (s *Scores) Parts() []Named {
	return []Named{{"query_understanding", &s.QU}, {"query_plan", &s.QP}, {"tool_understanding", &s.TCU}, {"tool_plan", &s.TCP},
		{"tool_success", &s.TCS}, {"tool_conciseness", &s.TC}, {"final_answer", &s.FA}}
}

// settle takes the mean, if every part is known.
func (s *Scores) settle() {
	sum, parts := 0.0, s.Parts()
	for _, p := range parts {
		if p.Value == nil {
			return
		}
		sum += *p.Value
	}
	s.Mean = number(sum / float64(len(parts)))
}

// Unknown is the name of the first part that is unknown, and why; "" if none is.
func (s *Scores) Unknown() (name, why string) {
	for _, p := range s.Parts() {
		if p.Value == nil {
			return p.Name, p.Reason
		}
	}
	return "", ""
}

// Map is the seven and "mean", by name; nil if any is unknown.
func (s *Scores) Map() map[string]float64 {
	if s.Mean == nil {
		return nil
	}
	all := map[string]float64{"mean": *s.Mean}
	for _, p := range s.Parts() {
		all[p.Name] = *p.Value
	}
	return all
}

// Thresholds are the least that is accepted.
type Thresholds struct {
	Mean float64            // of the seven
	Min  map[string]float64 // of single ones, by name
}

// ReadMinima reads thresholds of single scores, as name and number.
func ReadMinima(given map[string]string) (map[string]float64, error) {
	minima := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		v, err := strconv.ParseFloat(given[name], 64)
		if err != nil {
			return nil, fmt.Errorf("%.60s=%.20s: want a number from 0 to 1", name, given[name])
		}
		minima[name] = v
	}
	return minima, Thresholds{Min: minima}.Check()
}

// Check refuses what is no threshold: nothing is below NaN, and a name that no score has
// would keep nothing out.
func (t Thresholds) Check() error {
	if !(t.Mean >= 0 && t.Mean <= 1) {
		return fmt.Errorf("a least mean of %g: want a number from 0 to 1", t.Mean)
	}
	var names []string
	for _, p := range new(Scores).Parts() {
		names = append(names, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Min)) {
		if v := t.Min[name]; !slices.Contains(names, name) || !(v >= 0 && v <= 1) {
			return fmt.Errorf("a least %.60s of %g: want one of %s, and a number from 0 to 1", name, v, strings.Join(names, ", "))
		}
	}
	return nil
}

// Judge holds scores to the thresholds. The reason is the same for the same shortfall.
func (t Thresholds) Judge(s *Scores) (v synth.Verdict, reason string) {
	if s.Mean == nil {
		name, _ := s.Unknown()
		return synth.Unknown, "unknown: " + name
	}
	for _, p := range s.Parts() {
		if *p.Value < t.Min[p.Name] {
			return synth.Fail, "below: " + p.Name
		}
	}
	if *s.Mean < t.Mean {
		return synth.Fail, "below: mean"
	}
	return synth.Pass, ""
}
