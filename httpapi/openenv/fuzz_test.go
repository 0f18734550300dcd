package openenv

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever a client sends over a WebSocket, line by line, each line is answered in the
// protocol's form, nothing hidden is shown, and no episode is left open.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"type":"reset","data":{"task":"count"}}` + "\n" + call("stock", `{"item":"nut"}`) + "\n" + call("episode_submit", `{"answer":"7"}`),
		`{"type":"reset","data":{"seed":7,"split":"train","index":0,"episode_id":"e"}}` + "\n" + call("episode_turn", `{"reply":"5"}`) + "\n" + `{"type":"state"}`,
		`{"type":"step","data":{"type":"list_tools"}}` + "\n" + `{"type":"close"}`,
		`{"type":"mcp","data":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock","arguments":{"item":"nut"}}}}`,
		`{"jsonrpc":"2.0","id":"a","method":"openenv/session/create"}` + "\n" + `{"jsonrpc":"2.0","method":"openenv/session/close","params":{"session_id":"x"}}`,
		"{\n[]\nnull\n\"\"\n" + `{"type":1}` + "\n" + `{"type":"step","data":null}`,
	} {
		f.Add(seed)
	}
	p := newPlace(f, nil, nil)
	f.Fuzz(func(t *testing.T, text string) {
		in, err := p.begin(t.Context(), "shop")
		must(t, err)
		for i, line := range strings.SplitN(text, "\n", 20) {
			if i < 19 {
				p.answers(t, in, line)
			}
		}
		in.end("fuzzed")
		if n := p.sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if n := p.gw.Capacity().Open; n != 0 {
			t.Errorf("%d episodes are left open", n)
		}
	})
}

// answers feeds a line to both kinds of WebSocket.
func (p *place) answers(t *testing.T, in *session, line string) {
	if reply := p.play(t.Context(), in, []byte(line)); reply != nil {
		var f frame
		b, err := json.Marshal(reply)
		must(t, err)
		noCanary(t, b)
		must(t, json.Unmarshal(b, &f))
		if !strings.Contains(" observation state mcp error ", " "+f.Type+" ") || f.Data == nil {
			t.Errorf("%s: %s", line, b)
		}
	}
	b, err := json.Marshal(p.rpc1(t, in, line))
	must(t, err)
	noCanary(t, b)
	var reply struct {
		JSONRPC       string
		Result, Error json.RawMessage
	}
	must(t, json.Unmarshal(b, &reply))
	if reply.JSONRPC != "2.0" || (reply.Result == nil) == (reply.Error == nil) {
		t.Errorf("%s: %s", line, b)
	}
}

// rpc1 takes the line as a request of /mcp in the session, so that none is made that nobody ends.
func (p *place) rpc1(t *testing.T, in *session, line string) rpcReply {
	return p.Server.rpc(t.Context(), in.arena, in, []byte(line))
}
