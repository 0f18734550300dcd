package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An era is how a client of MCP opens a conversation and frames its calls.
type era string

const (
	legacy era = "2025-11-25"
	modern era = "2026-07-28"
)

// A caller is one client that repeats one tool call over one kept-alive connection.
type caller struct {
	client  *http.Client
	url     string
	session string
	era     era
	name    string
	body    []byte
}

func newCaller(url string, e era, tool string, args any) (*caller, error) {
	c := &caller{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}, url: url, era: e, name: tool}
	params := map[string]any{"name": tool, "arguments": args}
	if e == modern {
		params["_meta"] = map[string]any{
			"io.modelcontextprotocol/protocolVersion":    e,
			"io.modelcontextprotocol/clientCapabilities": map[string]any{},
			"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "bench", "version": "1"},
		}
	}
	c.body, _ = json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
	if e == modern {
		return c, nil
	}
	return c, c.initialize()
}

func (c *caller) initialize() error {
	hello, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": map[string]any{
		"protocolVersion": c.era, "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "bench", "version": "1"}}})
	resp, err := c.post(hello, "initialize")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.session = resp.Header.Get("Mcp-Session-Id")
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("initialize: %s", resp.Status)
	}
	return err
}

func (c *caller) post(body []byte, method string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	if method != "initialize" {
		req.Header.Set("MCP-Protocol-Version", string(c.era))
	}
	if c.era == modern {
		req.Header.Set("Mcp-Method", method)
		req.Header.Set("Mcp-Name", c.name)
	}
	return c.client.Do(req)
}

// call makes one call; anything but a result without isError is an error.
func (c *caller) call() error {
	resp, err := c.post(c.body, "tools/call")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(b, []byte(`"result"`)) || bytes.Contains(b, []byte(`"isError":true`)) {
		return fmt.Errorf("%s: %s: %.300s", c.url, resp.Status, b)
	}
	return nil
}

// rate lets every caller call for a while, after a warm-up, and returns calls a second.
func rate(callers []*caller, warm, d time.Duration) (float64, error) {
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now().Add(warm)
	end := begin.Add(d)
	for _, c := range callers {
		wg.Go(func() {
			for now := time.Now(); now.Before(end) && failed.Load() == nil; now = time.Now() {
				if err := c.call(); err != nil {
					failed.Store(&err)
				}
				if now.After(begin) {
					calls.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / d.Seconds(), nil
}

// listen serves h on a loopback port of its own.
func listen(h http.Handler) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	return "http://" + l.Addr().String(), func() { srv.Close() }, nil
}
