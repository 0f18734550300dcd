package openenv

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
)

// A client is one of OpenEnv's own, in a process of its own.
type client struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
	mcp bool // the client of MCP, whose calls go to /mcp
}

// python finds the one of an environment that a target of the Makefile makes.
func python(t testing.TB, venv, target string) string {
	t.Helper()
	dir, err := filepath.Abs("../../" + venv)
	must(t, err)
	if _, err := os.Stat(dir + "/.ready"); err != nil {
		t.Skip("OpenEnv's clients are missing: make " + target)
	}
	return dir + "/bin/python"
}

func startClient(t testing.TB, python, mode, base string) *client {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "testdata/peer.py", mode, base)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	return &client{t, in, bufio.NewReaderSize(out, 1<<20), mode == "mcp"}
}

// do has the client do something, and decodes what it returned.
func (c *client) do(what string, with any, reply any) {
	c.t.Helper()
	text := c.try(map[string]any{"do": what, "with": with})
	if strings.HasPrefix(text, `{"error": "`) {
		c.t.Fatalf("%s: %s", what, text)
	}
	must(c.t, json.Unmarshal([]byte(text), reply))
}

func (c *client) try(order map[string]any) string {
	c.t.Helper()
	b, err := json.Marshal(order)
	must(c.t, err)
	_, err = c.in.Write(append(b, '\n'))
	must(c.t, err)
	text, err := c.out.ReadString('\n')
	must(c.t, err)
	return text
}

// A got is what a client made of a reset or a step.
type got struct {
	Observation struct {
		Prompt   string
		Tools    []tool
		Metadata struct{ Prompt string }
		Result   *struct{ Data json.RawMessage }
		Error    *toolError
	}
	Reward *float64
	Done   bool
}

func (c *client) step(tool string, args any) (g got) {
	c.t.Helper()
	c.do("step", map[string]any{"type": "call_tool", "tool_name": tool, "arguments": args}, &g)
	return g
}

// Tools and Call make a client a session of our agents.
func (c *client) Tools(context.Context) ([]astra.PublicTool, error) { return nil, nil }

func (c *client) Call(_ context.Context, tool string, args json.RawMessage) (agent.Outcome, error) {
	if c.mcp {
		text := c.try(map[string]any{"do": "call", "tool": tool, "with": args})
		return agent.Outcome{Failed: strings.HasPrefix(text, `{"error": "`), Value: json.RawMessage(text), Text: text}, nil
	}
	g := c.step(tool, args)
	if g.Observation.Error != nil {
		return agent.Outcome{Failed: true, Text: g.Observation.Error.Message}, nil
	}
	return agent.Outcome{Value: g.Observation.Result.Data}, nil
}

// play has the gold agent play a task through the client, and returns the reward.
func (c *client) play(task *astra.Task, split string, index int) float64 {
	c.t.Helper()
	var g got
	c.do("reset", map[string]any{"split": split, "index": index, "seed": 3}, &g)
	if g.Observation.Prompt != task.Turns[0].Prompt && g.Observation.Metadata.Prompt != task.Turns[0].Prompt || g.Done || g.Reward != nil {
		c.t.Errorf("task %s: reset %+v", task.ID, g)
	}
	player := agent.NewGold(task, &agent.GoldOptions{Repeats: 9})
	for {
		reply, err := player.Play(c.t.Context(), c, "")
		must(c.t, err)
		var next gateway.NextTurn
		if len(task.Turns) > 1 {
			g = c.step(turnTool, map[string]string{"reply": reply})
			must(c.t, json.Unmarshal(g.Observation.Result.Data, &next))
		}
		if len(task.Turns) == 1 || next.Done {
			g = c.step(submitTool, map[string]string{"answer": reply})
			if !g.Done || g.Reward == nil {
				c.t.Fatalf("task %s: submit %+v", task.ID, g)
			}
			return *g.Reward
		}
	}
}

// overMCP has the gold agent play a task at the agents' door, and returns the reward.
func (p *place) overMCP(task *astra.Task) float64 {
	p.t.Helper()
	o, err := p.gw.Open(p.t.Context(), gateway.OpenRequest{Arena: "inventory", Task: task.ID, Mode: astra.Eval})
	must(p.t, err)
	door, err := agent.Dial(p.t.Context(), p.agents.URL+"/episode/mcp", o.Key, nil)
	must(p.t, err)
	defer door.Close()
	player := agent.NewGold(task, &agent.GoldOptions{Repeats: 9})
	for {
		reply, err := player.Play(p.t.Context(), door, "")
		must(p.t, err)
		next, err := p.gw.Turn(p.t.Context(), o.Episode, reply)
		must(p.t, err)
		if next.Done {
			score, err := p.gw.Submit(p.t.Context(), o.Episode, astra.Submitted{Answer: &reply})
			must(p.t, err)
			return score.Reward
		}
	}
}

// OpenEnv's own clients play every task of an arena, and are given what the gold agent is
// given over MCP.
func TestClients(t *testing.T) {
	for venv, target := range map[string]string{".venv-openenv": "peers-openenv", ".venv-verifiers": "peers-verifiers"} {
		for _, mode := range []string{"generic", "sync", "mcp"} {
			t.Run(strings.TrimPrefix(venv, ".venv-")+"/"+mode, func(t *testing.T) {
				py := python(t, venv, target)
				p := newPlace(t, nil, nil)
				c := startClient(t, py, mode, p.base("inventory"))
				c.playAll(p)
				c.do("close", nil, &struct{}{})
				p.settled()
			})
		}
	}
}

func (c *client) playAll(p *place) {
	c.t.Helper()
	a, err := astra.Load("../../examples/arenas/inventory")
	must(c.t, err)
	index := map[astra.Split]int{}
	for i := range a.Tasks {
		task := &a.Tasks[i]
		want, is := p.overMCP(task), c.play(task, string(task.Split), index[task.Split])
		if is != want {
			c.t.Errorf("task %s: reward %v, over MCP %v", task.ID, is, want)
		}
		index[task.Split]++
	}
	var s state
	c.do("state", nil, &s)
	if s.Episode == nil || s.Steps == 0 {
		c.t.Errorf("state %+v", s)
	}
}

// What the clients make of tools, failures, and a server that is full.
func TestClientsAnswers(t *testing.T) {
	for venv, target := range map[string]string{".venv-openenv": "peers-openenv", ".venv-verifiers": "peers-verifiers"} {
		t.Run(strings.TrimPrefix(venv, ".venv-"), func(t *testing.T) {
			py := python(t, venv, target)
			p := newPlace(t, &Options{MaxSessions: 1}, nil)
			c := startClient(t, py, "mcp", p.base("shop"))
			var tools []tool
			c.do("tools", nil, &tools)
			if !slices.ContainsFunc(tools, func(t tool) bool { return t.Name == "stock" && len(t.InputSchema) > 10 }) {
				t.Errorf("tools before a reset: %+v", tools)
			}
			c.do("reset", map[string]string{"task": "count"}, &got{})
			if text := c.try(map[string]any{"do": "call", "tool": "stock", "with": map[string]string{"item": "rocket"}}); !strings.Contains(text, "there is no rocket") {
				t.Errorf("a tool that fails: %s", text)
			}
			other := startClient(t, py, "generic", p.base("shop"))
			if text := other.try(map[string]any{"do": "reset", "with": map[string]int{}}); !strings.Contains(text, "CAPACITY_REACHED") {
				t.Errorf("full: %s", text)
			}
			c.do("close", nil, &struct{}{})
			p.settled()
			c.do("reset", map[string]string{"task": "broken"}, &got{})
			if text := c.try(map[string]any{"do": "step", "with": map[string]any{"type": "call_tool", "tool_name": submitTool, "arguments": map[string]string{}}}); !strings.Contains(text, "do not train on it") {
				t.Errorf("an episode without a score: %s", text)
			}
			c.do("close", nil, &struct{}{})
			p.settled()
		})
	}
}

// OpenEnv's harness, as TRL drives it, plays through the sessions of examples/trainers. The
// model is told no reward.
func TestHarness(t *testing.T) {
	py := python(t, ".venv-verifiers", "peers-verifiers")
	p := newPlace(t, nil, nil)
	for _, submits := range []string{"yes", "no"} {
		cmd := exec.CommandContext(t.Context(), py, "testdata/harness.py", p.base("shop"), submits)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		must(t, err)
		var got struct {
			Reward   float64
			Messages json.RawMessage
		}
		must(t, json.Unmarshal(out, &got))
		if got.Reward != 1 || strings.Contains(string(got.Messages), "reward") || !strings.Contains(string(got.Messages), "How many nuts") {
			t.Errorf("submits %s: %s", submits, out)
		}
	}
	p.settled()
}
