package astra

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// A FailureKind is a way in which a call fails before it reaches its tool.
type FailureKind string

// The kinds of planned failures.
const (
	TimedOut    FailureKind = "timeout"
	Unreachable FailureKind = "unreachable"
	RateLimited FailureKind = "rate_limited"
	Malformed   FailureKind = "malformed"
)

// FailureKinds returns all kinds, in the order in which a decided plan has them.
func FailureKinds() []FailureKind {
	return []FailureKind{TimedOut, Unreachable, RateLimited, Malformed}
}

// A FailurePlan says which share of the calls that would reach a tool fail instead, and
// how. Which calls these are, PlannedFailure says.
type FailurePlan struct {
	Rate  float64       `json:"rate"`            // in [0,1]; 0 is none
	Kinds []FailureKind `json:"kinds,omitempty"` // as likely as each other; none means all
}

// Check says what is wrong with a plan.
func (p *FailurePlan) Check() error {
	if key, why, fix := p.refusal(); why != "" {
		return fmt.Errorf("failures.%s: %s; %s", key, why, fix)
	}
	return nil
}

// refusal names the key that is wrong, why, and what to do; all "" if none is.
func (p *FailurePlan) refusal() (key, why, fix string) {
	if p == nil {
		return "", "", ""
	}
	if !(p.Rate >= 0 && p.Rate <= 1) {
		return "rate", fmt.Sprintf("%g is out of range", p.Rate), "use a number from 0 to 1"
	}
	if p.Rate == 0 && len(p.Kinds) > 0 {
		return "kinds", "no call fails at rate 0", "say how many with rate, or leave kinds out"
	}
	for i, k := range p.Kinds {
		switch {
		case !slices.Contains(FailureKinds(), k):
			return "kinds", clip(string(k)) + " is no kind of failure", "use timeout, unreachable, rate_limited or malformed"
		case slices.Contains(p.Kinds[:i], k):
			return "kinds", clip(string(k)) + " comes twice", "keep one"
		}
	}
	return "", "", ""
}

// DecideFailures is the plan of an episode: the first that is there, so name the
// episode's own, its task's and its arena's in this order. It has its kinds spelled out,
// so that equal plans are equal; nil means that nothing fails.
func DecideFailures(plans ...*FailurePlan) *FailurePlan {
	for _, p := range plans {
		switch {
		case p == nil:
			continue
		case p.Rate == 0:
			return nil
		}
		kinds := FailureKinds()
		if len(p.Kinds) > 0 {
			kinds = slices.DeleteFunc(kinds, func(k FailureKind) bool { return !slices.Contains(p.Kinds, k) })
		}
		return &FailurePlan{Rate: p.Rate, Kinds: kinds}
	}
	return nil
}

// PlannedFailure is the failed result of a step that the plan hits, of a call of tool
// that may take wall. It depends on nothing but what opened says and the step's number:
//
//	state = FNV-1a, 64 bits, of "arena NUL task NUL seed NUL step", numbers in decimal
//	draws = splitmix64 from state
//
// The step is hit if the first draw, as a number in [0,1), is below the rate; so a higher
// rate hits the same steps and more. The second draw chooses the kind, the third what its
// message tells. A retry is another step and draws anew; episodes of a group meet the same.
func (o *Opened) PlannedFailure(step int, tool string, wall time.Duration) (Result, bool) {
	if o.Failures == nil {
		return Result{}, false
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", o.Arena, o.Task, o.Seed, step)
	dice := splitmix64(h.Sum64())
	if float64(dice.next()>>11)/(1<<53) >= o.Failures.Rate {
		return Result{}, false
	}
	kind := o.Failures.Kinds[dice.next()%uint64(len(o.Failures.Kinds))]
	res := Failed(FaultTool, kind.message(tool, wall, dice.next()))
	res.Injected = true
	return res, true
}

// fragments are how answers begin that broke off.
var fragments = []string{`{"`, `{"data": [{"id":`, `{"status": "ok", "result": {`, `[{"name": "`}

// message reads like the real thing: an agent must not tell it from one.
func (k FailureKind) message(tool string, wall time.Duration, draw uint64) string {
	switch k {
	case TimedOut:
		return fmt.Sprintf("%s did not answer within %g s", tool, wall.Seconds())
	case Unreachable:
		return fmt.Sprintf("%s cannot be reached: connection refused", tool)
	case RateLimited:
		return fmt.Sprintf("too many requests: %s takes no more calls now; try again in %d s", tool, 1+draw%30)
	}
	fragment := fragments[draw%uint64(len(fragments))]
	return fmt.Sprintf("the answer of %s could not be parsed: unexpected end of JSON after %d bytes: %s", tool, len(fragment), fragment)
}

// A splitmix64 is Steele, Lea and Flood's generator of that name.
type splitmix64 uint64

func (s *splitmix64) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
