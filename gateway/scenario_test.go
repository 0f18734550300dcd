package gateway_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

var update = flag.Bool("update", false, "rewrite the want parts of testdata/episodes")

// TestEpisodes plays testdata/episodes/*.txtar: a script of what an agent and its harness
// do in the arena testdata/bank, and what comes of it. One behaviour a file.
//
//	open TASK [seed=N] [mode=M] [failures=RATE]   call TOOL ARGS [key=K]   turn REPLY   submit [ANSWER]
//	fork [at=N]   rewind N   state [at=N]   abort   pass DURATION   restart   replay   show
func TestEpisodes(t *testing.T) {
	files, err := filepath.Glob("testdata/episodes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(ar.Files) == 0 || ar.Files[0].Name != "script" {
		t.Fatal("a scenario begins with -- script --")
	}
	p := &player{house: newHouse(t, nil)}
	for line := range strings.Lines(string(ar.Files[0].Data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			p.do(line)
		}
	}
	got := p.out.String()
	if *update {
		ar.Files = append(ar.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(ar.Files) < 2 || string(ar.Files[1].Data) != got {
		t.Errorf("got:\n%s\nwant:\n%s", got, ar.Files[len(ar.Files)-1].Data)
	}
}

// A player does what the lines of a script say, to the episode opened or forked last.
type player struct {
	*house
	id  astra.EpisodeID
	out strings.Builder
}

func (p *player) do(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	fmt.Fprintf(&p.out, "> %s\n", line)
	commands := map[string]func(context.Context, string) (any, error){
		"open": p.open, "call": p.call, "turn": p.turn, "submit": p.submit, "fork": p.fork, "show": p.show, "state": p.state, "rewind": p.rewind,
		"abort":   func(ctx context.Context, why string) (any, error) { return nil, p.Abort(ctx, p.id, why) },
		"replay":  func(ctx context.Context, _ string) (any, error) { return p.replay(ctx) },
		"restart": func(context.Context, string) (any, error) { p.restart(); return nil, nil },
		"pass":    p.pass,
	}
	f := commands[verb]
	if f == nil {
		p.t.Fatalf("no such line: %s", line)
	}
	res, err := f(p.t.Context(), rest)
	if err != nil {
		fmt.Fprintf(&p.out, "error: %v\n", err)
		return
	}
	p.print(res)
}

func (p *player) print(res any) {
	switch res := res.(type) {
	case nil:
	case string:
		fmt.Fprintln(&p.out, res)
	default:
		b, err := json.Marshal(res)
		if err != nil {
			p.t.Fatal(err)
		}
		fmt.Fprintf(&p.out, "%s\n", b)
	}
}

// options splits trailing key=value words from the rest of a line.
func options(rest string, keys ...string) (string, map[string]string) {
	found := map[string]string{}
	for {
		i := strings.LastIndex(rest, " ")
		key, value, ok := strings.Cut(rest[i+1:], "=")
		if !ok || !contains(keys, key) {
			return rest, found
		}
		found[key] = value
		rest = strings.TrimSpace(rest[:max(i, 0)])
	}
}

func contains(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

func (p *player) open(ctx context.Context, rest string) (any, error) {
	task, opts := options(rest, "seed", "mode", "failures")
	req := gateway.OpenRequest{Arena: "bank", Task: task, Mode: astra.Mode(opts["mode"])}
	if s := opts["seed"]; s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, err
		}
		req.Seed = &n
	}
	if s := opts["failures"]; s != "" {
		rate, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, err
		}
		req.Failures = &astra.FailurePlan{Rate: rate}
	}
	o, err := p.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	p.id = o.Episode
	return fmt.Sprintf("%s\ntools: %s", o.Message, strings.Join(o.Task.Tools, " ")), nil
}

func (p *player) call(ctx context.Context, rest string) (any, error) {
	rest, opts := options(rest, "key")
	tool, args, _ := strings.Cut(rest, " ")
	step, err := p.Call(ctx, p.id, astra.Call{Tool: tool, Args: json.RawMessage(args), Key: opts["key"]})
	if err != nil {
		return nil, err
	}
	return fmt.Sprintf("step %d of turn %d: %s", step.Index, step.Turn, resultText(step.Result)), nil
}

func resultText(r astra.Result) string {
	text := string(r.Value)
	if !r.OK() {
		text = fmt.Sprintf("%s: %s", r.Fault, r.Error)
	}
	if r.Breach {
		text += " (breach)"
	}
	if r.Injected {
		text += " (injected)"
	}
	return text
}

func (p *player) turn(ctx context.Context, reply string) (any, error) {
	return p.Turn(ctx, p.id, reply)
}

func (p *player) submit(ctx context.Context, answer string) (any, error) {
	s := astra.Submitted{}
	if answer != "" {
		s.Answer = &answer
	}
	score, err := p.Submit(ctx, p.id, s)
	if score == nil || err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "reward %.4g recall %.4g precision %.4g", score.Reward, score.Recall, score.Precision)
	for _, s := range score.Subtasks {
		fmt.Fprintf(&b, "\n  %s solved=%v step=%d", s.ID, s.Solved, s.Step)
	}
	for _, part := range score.Parts {
		fmt.Fprintf(&b, "\n  %s %.4g weight %.4g gate %v", part.Name, part.Value, part.Weight, part.Gate)
		for _, r := range part.Reasons {
			fmt.Fprintf(&b, "\n    %s", r.Text)
		}
	}
	return b.String(), nil
}

func (p *player) fork(ctx context.Context, rest string) (any, error) {
	at, err := stepIn(rest)
	if err != nil {
		return nil, err
	}
	forks, err := p.Fork(ctx, p.id, gateway.ForkRequest{At: at})
	if err != nil {
		return nil, err
	}
	p.id = forks[0].Episode
	return nil, nil
}

// stepIn reads at=N, or nil.
func stepIn(rest string) (*int, error) {
	_, opts := options(rest, "at")
	if opts["at"] == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(opts["at"])
	return &n, err
}

func (p *player) rewind(ctx context.Context, rest string) (any, error) {
	n, err := strconv.Atoi(rest)
	if err != nil {
		return nil, err
	}
	o, err := p.Rewind(ctx, p.id, gateway.RewindRequest{Step: n})
	if err != nil {
		return nil, err
	}
	p.id = o.Episode
	return o.Message, nil
}

func (p *player) state(ctx context.Context, rest string) (any, error) {
	at, err := stepIn(rest)
	if err != nil {
		return nil, err
	}
	s, err := p.StateAt(ctx, p.id, at)
	if err != nil {
		return nil, err
	}
	return fmt.Sprintf("after step %d: %s%s", s.At, s.State, s.Error), nil
}

func (p *player) replay(ctx context.Context) (any, error) {
	r, err := p.Replay(ctx, p.id)
	if err != nil {
		return nil, err
	}
	r.Episode = ""
	return r, nil
}

func (p *player) show(ctx context.Context, _ string) (any, error) {
	e, err := p.Episode(ctx, p.id)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s: %d steps, %d turns, %d refused", e.Status, len(e.Steps), len(e.Turns), e.Refused)
	if e.Ended != nil {
		line += fmt.Sprintf("; %s %s", e.Ended.Fault, e.Ended.Reason)
	}
	return line, nil
}

func (p *player) pass(ctx context.Context, rest string) (any, error) {
	d, err := time.ParseDuration(rest)
	if err != nil {
		return nil, err
	}
	p.clock.Pass(d)
	return nil, p.Sweep(ctx)
}
