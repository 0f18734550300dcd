package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQuick runs the whole bench, with few sessions, against real servers.
func TestQuick(t *testing.T) {
	t.Chdir("../..")
	program := filepath.Join(t.TempDir(), "astra")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/astra").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const python = ".venv-sessions/bin/python"
	for _, c := range contestants {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(python); err != nil && !strings.HasPrefix(c.name, "astra") {
				t.Skip("the peers are not there; `make peers-sessions` fetches them")
			}
			svg := filepath.Join(t.TempDir(), "rows.svg")
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-quick", "-json", "-only", "^" + c.name + "$", "-svg", svg, "-astra", program, "-python", python}, &out, t.Output()); err != nil {
				t.Fatal(err)
			}
			checkQuick(t, c.name, &out)
			if b, err := os.ReadFile(svg); err != nil || !bytes.Contains(b, []byte(c.name)) {
				t.Errorf("the drawing has no %s: %v", c.name, err)
			}
		})
	}
}

func checkQuick(t *testing.T, name string, out io.Reader) {
	t.Helper()
	var sessions []int
	for lines := json.NewDecoder(out); ; {
		var r struct {
			result
			Machine, Note string
		}
		if err := lines.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Note != "" {
			t.Error(r.Note)
		}
		if r.Server == "" {
			continue
		}
		sessions = append(sessions, r.Sessions)
		if r.Server != name || r.Success != 1 || len(r.Errors) > 0 || r.Offered != r.Achieved || r.Call.P50 <= 0 || r.Connect.Max < r.Connect.P50 || r.Reset.P99 <= 0 || r.Close.P50 <= 0 || r.Sent == 0 || r.Received == 0 {
			t.Errorf("%s: %+v", name, r.result)
		}
		python := !strings.HasPrefix(name, "astra") // collects with few sessions, too
		if r.Lag.P50 <= 0 || r.Busy <= 0 || r.Stops.Longest > r.Stops.Total || python && r.Stops.Total <= 0 {
			t.Errorf("%s: lag %v, busy for %v s, stopped %+v", name, r.Lag, r.Busy, r.Stops)
		}
		if r.Files < r.Sessions || r.Base <= 0 {
			t.Errorf("%s with %d sessions has %d files open and %v MiB", name, r.Sessions, r.Files, r.Base)
		}
	}
	if want := []int{16, 32}; !slices.Equal(sessions, want) {
		t.Errorf("levels %v, want %v", sessions, want)
	}
}

// unreliable is a resources server of NeMo Gym that answers as told, by the task's number.
func unreliable(t *testing.T, c *catalogue, answer func(seed int, w http.ResponseWriter, found finding)) *host {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /seed_session", func(w http.ResponseWriter, r *http.Request) {
		var row struct{ Seed int }
		json.NewDecoder(r.Body).Decode(&row)
		http.SetCookie(w, &http.Cookie{Name: "seed", Value: string(rune('a' + row.Seed))})
	})
	mux.HandleFunc("POST /find_items", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("seed")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var args struct{ Query string }
		json.NewDecoder(r.Body).Decode(&args)
		found := finding{Total: len(c.wants[args.Query])}
		for _, sku := range c.wants[args.Query] {
			found.Items = append(found.Items, item{SKU: sku})
		}
		answer(int(cookie.Value[0]-'a'), w, found)
	})
	mux.HandleFunc("POST /close_session", func(http.ResponseWriter, *http.Request) {})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{}
	addr := srv.Listener.Addr().String()
	return &host{&server{cmd: &exec.Cmd{Process: self}}, addr, m, nemoGyms(m, addr, "")}
}

func testCatalogue(t *testing.T) *catalogue {
	t.Helper()
	c, err := loadCatalogue("../../examples/arenas/inventory/data")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A bench that cannot see failures measures nothing.
func TestFailuresAreSeen(t *testing.T) {
	c := testCatalogue(t)
	hang := make(chan struct{})
	h := unreliable(t, c, func(seed int, w http.ResponseWriter, found finding) {
		switch seed {
		case 1:
			found.Total++
		case 2:
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		case 3:
			<-hang
		}
		json.NewEncoder(w).Encode(found)
	})
	t.Cleanup(func() { close(hang) }) // before the server is closed, which waits for requests
	l := level{sessions: 5 * group, calls: 3, patience: time.Minute, limit: 4 * time.Second}
	r := l.play(t.Context(), h, c)
	want := map[string]int{"call: wrong answer": group, "call: POST /find_items: status 503": group, "call: read: timed out": group}
	for what, n := range want {
		if r.Errors[what] != n {
			t.Errorf("%d sessions ended of %q, want %d; all: %v", r.Errors[what], what, n, r.Errors)
		}
	}
	// The level is over when its time is up, also for those that would have closed.
	if n := r.Errors["close: write: timed out"]; n != 2*group || r.Success != 0 {
		t.Errorf("%d of %d sessions could not close, success %v: %v", n, 2*group, r.Success, r.Errors)
	}
	if share := r.Achieved / r.Offered; share < .399 || share > .401 {
		t.Errorf("achieved %v of %v offered calls/s, want two fifths", r.Achieved, r.Offered)
	}
}

func TestSurveyStops(t *testing.T) {
	c := testCatalogue(t)
	broken := contestant{"broken", func(context.Context, *lab, string) (*host, error) {
		h := unreliable(t, c, func(seed int, w http.ResponseWriter, found finding) {
			found.Total += seed // right for the first group alone
			json.NewEncoder(w).Encode(found)
		})
		h.gone = make(chan struct{})
		close(h.gone)
		h.cmd.Process, _ = os.FindProcess(1 << 30) // there is none: nothing to measure, nothing to kill
		return h, nil
	}}
	b := bench{lab: &lab{dir: t.TempDir(), catalogue: c}, levels: []int{group, 2 * group, 4 * group}, level: level{calls: 1, patience: time.Minute, limit: time.Minute}, progress: t.Output()}
	rows, note := b.survey(t.Context(), broken, wantedFiles)
	if len(rows) != 2 || rows[0].Success != 1 || rows[1].Success != .5 || note != "" {
		t.Errorf("rows %+v, note %q; want a level that succeeds, and the first that does not", rows, note)
	}
	rows, note = b.survey(t.Context(), broken, spare+group)
	if len(rows) != 1 || !strings.Contains(note, "open files") {
		t.Errorf("with few files: rows %+v, note %q", rows, note)
	}
	var out bytes.Buffer
	if err := markdown(&out, "two cores", b.level, append(rows, result{Server: "broken", Sessions: 16, Success: .5, Errors: map[string]int{"call: wrong answer": 8}}), nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"two cores", "| broken | 8 |", "- broken, 16 sessions: 8 × call: wrong answer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if summary, _, _ := strings.Cut(out.String(), "\n\n| server | sessions"); strings.Contains(summary, "| broken | 16 |") {
		t.Errorf("a level that failed is in the summary:\n%s", &out)
	}
}

// A server may close a connection that was idle, which its clients have to bear with.
func TestLinkDialsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1024))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			c.Close()
		}
	}()
	link, err := dialLink(t.Context(), &meter{}, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer link.close()
	for range 3 {
		if _, b, err := link.do(t.Context(), http.MethodPost, "/", http.Header{}, []byte("{}")); err != nil || string(b) != "hi" {
			t.Fatalf("%q, %v", b, err)
		}
	}
}

func TestCatalogue(t *testing.T) {
	c := testCatalogue(t)
	if got := c.search("Brass hinge"); !slices.Equal(got, []string{"HNG-0060"}) {
		t.Errorf("a search for a brass hinge finds %v", got)
	}
	for name, skus := range c.wants {
		if len(skus) == 0 {
			t.Errorf("a search for %q finds nothing", name)
		}
	}
	if c.check("Brass hinge 60 mm", &finding{1, []item{{SKU: "HNG-0060"}}}) != nil || c.check("Brass hinge 60 mm", &finding{1, []item{{SKU: "HNG-0100"}}}) == nil || c.check("Brass hinge 60 mm", &finding{}) == nil {
		t.Error("an answer is not told from another")
	}
}

func TestQuantiles(t *testing.T) {
	var ts []time.Duration
	for i := range 101 {
		ts = append(ts, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := quantilesOf(ts), (quantiles{50, 95, 99, 100}); got != want {
		t.Errorf("of 0 to 100 ms: %v, want %v", got, want)
	}
	if got := quantilesOf(nil).String(); got != "– / –" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestStops(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	read := goStops(log)
	if got := read(); got != (stops{}) {
		t.Errorf("without a log: %+v", got)
	}
	write("serving\ngc 1 @0.004s 1%: 0.25+1.5+0.5 ms clock, 0.5+0.1/1/0+1 ms cpu, 4->4->0 MB, 4 MB goal, 2 P\ngc is fine\ngc 2 @1s 1%: 2+10")
	if got, want := read(), (stops{.75, .5}); got != want {
		t.Errorf("stopped %+v, want %+v", got, want)
	}
	write("+0.125 ms clock, 1+2+3 ms cpu\n")
	if got, want := read(), (stops{2.125, 2}); got != want {
		t.Errorf("then stopped %+v, want %+v", got, want)
	}
}
