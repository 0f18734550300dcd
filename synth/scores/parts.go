package scores

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth/ask"
)

type queryDocument struct {
	Step     string      `json:"step"`
	Tools    []shownTool `json:"tools"`
	Messages []shown     `json:"messages"`
	First    int         `json:"first"`
	Expected Expected    `json:"expected,omitempty"`
}

// query judges how the work began: QU and QP.
func (b *bench) query(ctx context.Context) error {
	first := b.first()
	if first < 0 || b.silent(first) {
		b.scores.QU, b.scores.QP = ruled(0, "the assistant said nothing"), ruled(0, "the assistant said nothing")
		return nil
	}
	reply, why, err := asked(ctx, b, "query", "two", 0, queryDocument{"query", b.showTools(), b.show(len(b.chat)), first + 1, b.in.Expected}, (*two).check)
	switch {
	case err != nil:
		return err
	case reply == nil:
		b.scores.QU, b.scores.QP = unknown(why), unknown(why)
	default:
		b.scores.QU, b.scores.QP = averaged([]Note{reply.Understanding.note(first + 1)}), averaged([]Note{reply.Plan.note(first + 1)})
	}
	if name := b.noTool(first); name != "" {
		b.scores.QP = ruled(0, name)
	}
	return nil
}

// noTool says that a call of the message at an index is of a tool that is not there.
func (b *bench) noTool(at int) string {
	for _, c := range b.calls {
		if c.round == at && !b.tools[c.tool] {
			return fmt.Sprintf("there is no tool %.64q", c.tool)
		}
	}
	return ""
}

// cannotWork says that a call of the message at an index could not be carried out. That is
// no look into the future: what is missing could be seen before.
func (b *bench) cannotWork(at int) string {
	if why := b.noTool(at); why != "" {
		return why
	}
	for _, c := range b.calls {
		if c.round == at && c.unfit() {
			return fmt.Sprintf("the arguments do not fit the tool %.64q", c.tool)
		}
	}
	return ""
}

type roundDocument struct {
	Step     string      `json:"step"`
	Tools    []shownTool `json:"tools"`
	History  []shown     `json:"history"`
	Round    shown       `json:"round"`
	Expected Expected    `json:"expected,omitempty"`
}

// rounds judges what rests on results: TCU and TCP.
func (b *bench) rounds(ctx context.Context) error {
	judged := b.view.rounds
	if len(judged) > 1 {
		judged = judged[1:]
	} else if last := len(b.chat) - 1; last >= 0 && b.chat[last].Role == "assistant" && !slices.Contains(judged, last) && !b.silent(last) {
		judged = []int{last}
	} else {
		b.scores.TCU, b.scores.TCP = ruled(0, "nothing follows the first round"), ruled(0, "nothing follows the first round")
		return nil
	}
	var understanding, plan []Note
	for _, at := range judged {
		u, p, err := b.round(ctx, at)
		if err != nil {
			return err
		}
		understanding, plan = append(understanding, u), append(plan, p)
	}
	b.scores.TCU, b.scores.TCP = averaged(understanding), averaged(plan)
	return nil
}

// round judges the message at an index by what came before it.
func (b *bench) round(ctx context.Context, at int) (understanding, plan Note, err error) {
	shown := b.show(at + 1)
	doc := roundDocument{"round", b.showTools(), shown[:at], shown[at], b.in.Expected}
	reply, why, err := asked(ctx, b, "round", "two", at, doc, (*two).check)
	if err != nil {
		return Note{}, Note{}, err
	}
	understanding, plan = Note{Of: at + 1, Why: why}, Note{Of: at + 1, Why: why}
	if reply != nil {
		understanding, plan = reply.Understanding.note(at+1), reply.Plan.note(at+1)
	}
	if why := b.cannotWork(at); why != "" {
		plan = rule(at+1, 0, why)
	}
	return understanding, plan, nil
}

type callsDocument struct {
	Step     string      `json:"step"`
	Tools    []shownTool `json:"tools"`
	Messages []shown     `json:"messages"`
	Judge    []int       `json:"judge"`
}

type callVerdicts struct {
	Analysis string `json:"analysis"`
	Calls    []struct {
		Call      int    `json:"call"`
		Necessary string `json:"necessary"`
		Succeeded string `json:"succeeded"`
		Reason    string `json:"reason"`
	} `json:"calls"`
}

func (c *callVerdicts) check(judge []int) error {
	seen := map[int]bool{}
	for _, v := range c.Calls {
		if !slices.Contains(judge, v.Call) || seen[v.Call] {
			return ask.Misread(ask.NoVerdict, `call %d is not in "judge", or comes twice`, v.Call)
		}
		if _, ok := verdicts[v.Necessary]; !ok {
			return ask.Misread(ask.NoVerdict, "call %d: %.40q is no verdict: say yes, no or unsure", v.Call, v.Necessary)
		}
		if _, ok := verdicts[v.Succeeded]; !ok {
			return ask.Misread(ask.NoVerdict, "call %d: %.40q is no verdict: say yes, no or unsure", v.Call, v.Succeeded)
		}
		seen[v.Call] = true
	}
	if len(seen) != len(judge) {
		return ask.Misread(ask.NoVerdict, "%d of %d calls were judged", len(seen), len(judge))
	}
	return nil
}

var verdicts = map[string]*float64{"yes": number(1), "no": number(0), "unsure": nil}

func number(f float64) *float64 { return &f }

// each judges the single calls: TCS and TC.
func (b *bench) each(ctx context.Context) error {
	if len(b.calls) == 0 {
		value := 0.0
		if b.in.Expected == ToDecline {
			value = 1
		}
		b.scores.TCS, b.scores.TC = ruled(value, "no tool was called"), ruled(value, "no tool was called")
		return nil
	}
	success, necessity := make([]Note, len(b.calls)), make([]Note, len(b.calls))
	var open []int
	for i := range b.calls {
		success[i], necessity[i] = b.succeeded(i), b.spared(i)
		if success[i].Value == nil || necessity[i].Value == nil {
			open = append(open, i+1)
		}
	}
	if err := b.decide(ctx, open, success, necessity); err != nil {
		return err
	}
	// A call that was planned to fail is no doing of the agent's.
	success = slices.DeleteFunc(success, func(n Note) bool { return b.calls[n.Of-1].step != nil && b.calls[n.Of-1].step.Injected })
	b.scores.TC = averaged(necessity)
	if b.scores.TCS = averaged(success); len(success) == 0 {
		b.scores.TCS = ruled(0, "no call was carried out")
	}
	return nil
}

// succeeded is what the log says of a call, or its agent could not send.
func (b *bench) succeeded(i int) Note {
	c := &b.calls[i]
	switch {
	case c.step != nil && c.step.OK:
		return rule(i+1, 1, "")
	case c.step != nil:
		return rule(i+1, 0, ask.Clip(c.result, 200))
	case !b.tools[c.tool] || c.args == "":
		return rule(i+1, 0, "it was no call that a tool could take")
	}
	return Note{Of: i + 1}
}

// spared is what rules know of the need of a call.
func (b *bench) spared(i int) Note {
	c := &b.calls[i]
	switch {
	case !b.tools[c.tool]:
		return rule(i+1, 0, "there is no such tool")
	case c.unfit():
		return rule(i+1, 0, "its arguments do not fit the tool, or it was beyond the budget")
	}
	for k := range i {
		if e := &b.calls[k]; e.tool == c.tool && e.args == c.args && e.result == c.result && !mayPass(e) {
			return rule(i+1, 0, fmt.Sprintf("call %d was the same, and so was its result", k+1))
		}
	}
	return Note{Of: i + 1}
}

// mayPass reports a failure after which trying again makes sense.
func mayPass(c *call) bool {
	if c.step != nil && c.step.Injected {
		return true
	}
	lower := strings.ToLower(c.result)
	return (c.step == nil || !c.step.OK) && slices.ContainsFunc([]string{"timed out", "timeout", "unavailable", "unreachable", "rate limit", "too many requests", " 429", " 500", " 502", " 503", " 504", "超时", "不可用"},
		func(mark string) bool { return strings.Contains(lower, mark) })
}

// decide asks about the calls that no rule has decided. What rules know stays.
func (b *bench) decide(ctx context.Context, open []int, success, necessity []Note) error {
	if len(open) == 0 {
		return nil
	}
	reply, why, err := asked(ctx, b, "calls", "calls", 0, callsDocument{"calls", b.showTools(), b.show(len(b.chat)), open}, func(c *callVerdicts) error { return c.check(open) })
	if err != nil {
		return err
	}
	said := map[int]int{} // call -> place in the reply
	if reply != nil {
		for i, v := range reply.Calls {
			said[v.Call] = i
		}
	}
	for _, call := range open {
		yes, need, reason := (*float64)(nil), (*float64)(nil), why
		if reply != nil {
			v := reply.Calls[said[call]]
			yes, need, reason = verdicts[v.Succeeded], verdicts[v.Necessary], ask.Clip(v.Reason, 300)
		}
		for _, part := range []struct {
			at *Note
			v  *float64
		}{{&success[call-1], yes}, {&necessity[call-1], need}} {
			if part.at.Value == nil {
				part.at.Value, part.at.Why = part.v, reason
			}
		}
	}
	return nil
}

type correlationDocument struct {
	Step     string   `json:"step"`
	Said     []string `json:"user"`
	Answer   string   `json:"answer"`
	Expected Expected `json:"expected,omitempty"`
}

type summaryDocument struct {
	Step     string   `json:"step"`
	Messages []shown  `json:"messages"`
	Expected Expected `json:"expected,omitempty"`
}

// answer judges what the conversation ends with: FA.
func (b *bench) answer(ctx context.Context) error {
	text, ok := b.lastAnswer()
	if !ok {
		b.scores.FA = ruled(0, "the conversation does not end in an answer")
		return nil
	}
	correlation, err := b.correlation(ctx, text)
	if err != nil {
		return err
	}
	summary, err := b.summary(ctx, text)
	if err != nil {
		return err
	}
	b.scores.FA = averaged([]Note{correlation, summary})
	return nil
}

func (b *bench) correlation(ctx context.Context, text string) (Note, error) {
	if otherLanguage(b.said(), text) {
		return rule(len(b.chat), 0, "the answer is in another language than the user's"), nil
	}
	said := b.said()
	most := room(append(said, text))
	doc := correlationDocument{Step: "correlation", Said: said, Answer: ask.Clip(text, most), Expected: b.in.Expected}
	for i := range said {
		said[i] = ask.Clip(said[i], most)
	}
	return b.graded(ctx, "correlation", doc)
}

func (b *bench) summary(ctx context.Context, text string) (Note, error) {
	if link := b.madeUp(text); link != "" {
		return rule(len(b.chat), 0, "no message before has the link "+ask.Clip(link, 200)), nil
	}
	return b.graded(ctx, "summary", summaryDocument{"summary", b.show(len(b.chat)), b.in.Expected})
}

func (b *bench) graded(ctx context.Context, step string, document any) (Note, error) {
	reply, why, err := asked(ctx, b, step, "one", 0, document, (*one).check)
	if err != nil || reply == nil {
		return Note{Of: len(b.chat), Why: why}, err
	}
	return reply.note(len(b.chat)), nil
}
