package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/mcp"
)

const clients = 64

// mcpRows compares a real read through everything, log included, with a bare echo of the
// library we build on, both eras, one after the other in one run and on the same cores.
func mcpRows(ctx context.Context, l *lab) ([]row, error) {
	bareURL, stopBare, err := listen(bareEcho())
	if err != nil {
		return nil, err
	}
	defer stopBare()
	h, err := l.house(ctx, "mcp", nil)
	if err != nil {
		return nil, err
	}
	defer h.close()
	doors, err := mcp.New(h.Gateway, nil)
	if err != nil {
		return nil, err
	}
	defer doors.Close(ctx)
	oursURL, stopOurs, err := listen(doors.AgentHandler())
	if err != nil {
		return nil, err
	}
	defer stopOurs()
	var rows []row
	for _, e := range []era{legacy, modern} {
		r, err := l.share(ctx, h, e, bareURL, oursURL)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (l *lab) share(ctx context.Context, h *house, e era, bareURL, oursURL string) (row, error) {
	var bare, ours []*caller
	for range clients {
		b, err := newCaller(bareURL+"/mcp", e, "echo", map[string]any{"msg": "hello"})
		if err != nil {
			return row{}, err
		}
		o, err := h.Open(ctx, gateway.OpenRequest{Arena: "bench", Task: "five", Mode: astra.Train})
		if err != nil {
			return row{}, err
		}
		u, err := newCaller(oursURL+"/episodes/"+string(o.Key)+"/mcp", e, "get_user", getUser)
		if err != nil {
			return row{}, err
		}
		bare, ours = append(bare, b), append(ours, u)
	}
	// In turn, so that a drift of the machine meets both.
	var shares, rates [3]float64
	for i := range shares {
		b, err := rate(bare, time.Second, l.d(4*time.Second))
		if err != nil {
			return row{}, err
		}
		if rates[i], err = rate(ours, time.Second, l.d(4*time.Second)); err != nil {
			return row{}, err
		}
		shares[i] = rates[i] / b
	}
	goal := map[era]float64{legacy: .6, modern: .7}[e]
	share := median(shares)
	return judged(fmt.Sprintf("MCP tools/call, %d clients, %s: share of bare echo", clients, e),
		fmt.Sprintf("%.2f (%.0f calls/s)", share, median(rates)), fmt.Sprintf("≥ %.1f", goal), share >= goal), nil
}

func median(v [3]float64) float64 {
	return max(min(v[0], v[1]), min(max(v[0], v[1]), v[2]))
}

func (l *lab) d(full time.Duration) time.Duration {
	if l.quick {
		return full / 8
	}
	return full
}

func bareEcho() http.Handler {
	s := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	s.AddTool(mcpgo.NewTool("echo", mcpgo.WithDescription("echo"), mcpgo.WithString("msg", mcpgo.Required())),
		func(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return mcpgo.NewToolResultText(r.GetString("msg", "")), nil
		})
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s, server.WithStateful(true)))
	return mux
}

// A poster is one client of the control side.
type poster struct {
	client *http.Client
	token  string
}

func (p poster) post(url string, body io.Reader, out any) error {
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %.300s", url, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// durableRows plays whole episodes over HTTP: open, five calls, submit, score.
func durableRows(ctx context.Context, l *lab) ([]row, error) {
	h, err := l.house(ctx, "durable", nil)
	if err != nil {
		return nil, err
	}
	defer h.close()
	token := strings.Repeat("t", 32)
	api, err := httpapi.New(h.Gateway, &httpapi.Options{Token: token})
	if err != nil {
		return nil, err
	}
	url, stop, err := listen(api)
	if err != nil {
		return nil, err
	}
	defer stop()
	p := poster{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}, token: token}
	n := l.n(10000)
	if err := inParallel(clients, n/10, func(int) error { return playOverHTTP(p, url) }); err != nil {
		return nil, err
	}
	t := time.Now()
	err = inParallel(clients, n, func(int) error { return playOverHTTP(p, url) })
	perSecond := since(t, n)
	return []row{judged("open, 5 calls, submit, score: durable, over HTTP", fmt.Sprintf("%.0f episodes/s", perSecond), "≥ 1,000/s", perSecond >= 1000)}, err
}

func playOverHTTP(p poster, url string) error {
	var opening struct{ Episode string }
	if err := postJSON(p, url+"/v1/episodes", map[string]any{"arena": "bench", "task": "five", "mode": "train"}, &opening); err != nil {
		return err
	}
	episode := url + "/v1/episodes/" + opening.Episode
	for i := range 5 {
		call := map[string]any{"tool": "get_user", "args": map[string]any{"id": fmt.Sprintf("u%d", 100+i)}}
		if i == 4 {
			call = map[string]any{"tool": "create_order", "args": createOrder}
		}
		if err := postJSON(p, episode+"/calls", call, nil); err != nil {
			return err
		}
	}
	var reply struct{ Score *astra.Score }
	if err := postJSON(p, episode+"/submit", map[string]any{}, &reply); err != nil {
		return err
	}
	if reply.Score == nil || reply.Score.Reward != 1 {
		return fmt.Errorf("the gold calls scored %+v, not 1", reply.Score)
	}
	return nil
}
