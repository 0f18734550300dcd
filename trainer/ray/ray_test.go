package ray

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cluster is Ray itself on one node, as small as it gets.
func cluster(t *testing.T) *Client {
	t.Helper()
	exe, err := filepath.Abs("../../.venv-ray/bin/ray")
	must(t, err)
	if _, err := os.Stat(filepath.Join(filepath.Dir(exe), "..", ".ready")); err != nil {
		t.Skip("Ray is not there: make peers-ray")
	}
	// Not t.TempDir(): the names of Ray's sockets would be too long.
	dir, err := os.MkdirTemp("", "ray")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := ports(t, 4)
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2",
		"--object-store-memory=80000000", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--temp-dir="+dir,
		"--port="+p[0], "--dashboard-port="+p[1], "--ray-client-server-port="+p[2], "--dashboard-agent-listen-port="+p[3],
		"--min-worker-port=0", "--max-worker-port=0")
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(exe)+":"+os.Getenv("PATH"), // the python of jobs
		"RAY_AUTH_MODE=disabled") // a token in the home directory would switch it on
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = 30 * time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it takes what it started with it
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	c, err := New("http://127.0.0.1:"+p[1], &Options{Attempts: 11, Backoff: 50 * time.Millisecond, Poll: 100 * time.Millisecond})
	must(t, err)
	return c
}

func ports(t *testing.T, n int) (all []string) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		all = append(all, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return all
}

// A job of our files runs on a real Ray, says what it should, and another is stopped.
func TestRay(t *testing.T) {
	ctx, c := t.Context(), cluster(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "data", "number"), []byte("41"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "run.py"), []byte("import os, ray\nray.init()\nf = ray.remote(lambda n: n + 1)\n"+
		"print('the answer is', ray.get(f.remote(int(open('data/number').read()))), os.environ['WHO'])\n"), 0o600))
	uri, err := c.Upload(ctx, dir)
	must(t, err)
	again, err := c.Upload(ctx, dir)
	must(t, err)
	if uri != again {
		t.Errorf("the same files are %s and %s", uri, again)
	}
	j := Job{Entrypoint: "python run.py", WorkingDir: uri, Env: map[string]string{"WHO": "astra"}, Metadata: map[string]string{"run": "7"}}
	id, err := c.Submit(ctx, j)
	must(t, err)
	j.ID = id
	if same, err := c.Submit(ctx, j); err != nil || same != id {
		t.Errorf("submitted again: %s, %v", same, err)
	}
	var log strings.Builder
	d, err := c.Follow(ctx, id, &log)
	must(t, err)
	if d.Status != Succeeded || d.Metadata["run"] != "7" || strings.Count(log.String(), "the answer is 42 astra") != 1 {
		t.Errorf("%+v\n%s", d, log.String())
	}

	id, err = c.Submit(ctx, Job{Entrypoint: "sleep 600"})
	must(t, err)
	if stopped, err := c.Stop(ctx, id); err != nil || !stopped {
		t.Errorf("stopped: %t, %v", stopped, err)
	}
	if d, err = c.Follow(ctx, id, &log); err != nil || d.Status != Stopped {
		t.Errorf("%+v, %v", d, err)
	}
	id, err = c.Submit(ctx, Job{Entrypoint: "exit 3"})
	must(t, err)
	if d, err = c.Follow(ctx, id, &log); err != nil || d.Status != Failed || d.ExitCode == nil || *d.ExitCode != 3 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Details(ctx, "no such job"); !hasStatus(err, http.StatusNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
}

// A submission whose answer is lost is found again, and not started twice.
func TestSubmitOnce(t *testing.T) {
	var mu sync.Mutex // an answer that is lost orders nothing after it
	var started []string
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var s submission
		switch {
		case r.Method == http.MethodGet:
			_ = json.NewEncoder(w).Encode(Details{ID: started[0], Status: Running, Entrypoint: "true"})
		case json.NewDecoder(r.Body).Decode(&s) != nil:
			t.Error("no submission")
		case len(started) == 0:
			started = append(started, s.ID)
			panic(http.ErrAbortHandler)
		case s.ID != started[0]:
			t.Errorf("started again as %s", s.ID)
		default:
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "Traceback\nRuntimeError: %s exists, secret", s.ID)
		}
	}))
	defer h.Close()
	c, err := New(h.URL, &Options{Token: "secret", Attempts: 2, Backoff: time.Millisecond})
	must(t, err)
	id, err := c.Submit(t.Context(), Job{Entrypoint: "true"})
	if err != nil || id != started[0] {
		t.Errorf("%s, %v", id, err)
	}
	if _, err = c.Submit(t.Context(), Job{Entrypoint: "another", ID: id}); err == nil || !strings.Contains(err.Error(), "exists, …") {
		t.Errorf("an ID that another job has: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	for _, u := range []string{"", "ray://host:1", "http://u:p@host"} {
		if _, err := New(u, nil); err == nil {
			t.Errorf("%q", u)
		}
	}
	dir := t.TempDir()
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	if _, err := pack(dir); err == nil || !strings.Contains(err.Error(), "link is no regular file") {
		t.Errorf("a link: %v", err)
	}
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 99)) }))
	defer huge.Close()
	c, err := New(huge.URL, &Options{MaxBody: 9, Backoff: time.Millisecond})
	must(t, err)
	if _, err := c.Logs(t.Context(), "x"); !hasStatus(err, http.StatusRequestEntityTooLarge) {
		t.Errorf("a huge log: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
