package harness_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

const large = 1 << 20

// post sends a body that tells its length, or does not, and tells the status.
func post(t *testing.T, url string, size int, told bool) <-chan int {
	t.Helper()
	var in io.Reader = bytes.NewReader(make([]byte, size))
	if !told {
		in = io.MultiReader(in)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, in)
	must(t, err)
	status := make(chan int, 1)
	go func() {
		defer close(status)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	return status
}

func TestBodies(t *testing.T) {
	read, leave := make(chan int), make(chan struct{})
	web := httptest.NewServer(harness.Bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := harness.ReadBody(r, large)
		if f, ok := errors.AsType[*harness.Refusal](err); ok {
			w.WriteHeader(f.Status)
		} else if errors.Is(err, astra.ErrFull) {
			w.WriteHeader(http.StatusTooManyRequests)
		} else if len(b) >= large/2 {
			read <- len(b)
			<-leave
		}
	}), large))
	t.Cleanup(web.Close)

	first := post(t, web.URL, large, true)
	if n := <-read; n != large {
		t.Errorf("read %d bytes", n)
	}
	second := post(t, web.URL, large/2, true) // waits
	for _, c := range []struct {
		what string
		size int
		told bool
		want int
	}{
		{"a small one", 1000, true, 200},
		{"a small one of unknown length", 1000, false, 200},
		{"a larger one of unknown length", large / 5, false, 429},
	} {
		if got := <-post(t, web.URL, c.size, c.told); got != c.want {
			t.Errorf("%s beside the first: %d, want %d", c.what, got, c.want)
		}
	}
	select {
	case <-read:
		t.Error("the second was read while the first was worked on")
	default:
	}
	leave <- struct{}{}
	if got := <-first; got != 200 {
		t.Errorf("the first: %d", got)
	}
	<-read
	third := post(t, web.URL, large/2, false) // half of the room is free
	<-read
	leave <- struct{}{}
	leave <- struct{}{}
	if a, b := <-second, <-third; a != 200 || b != 200 {
		t.Errorf("the second: %d, the third: %d", a, b)
	}
	if got := <-post(t, web.URL, large+1, false); got != 413 {
		t.Errorf("too much, and nobody else: %d", got)
	}
}

// What waits for room and is given up leaves none behind.
func TestBodiesLeft(t *testing.T) {
	h := harness.Bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := harness.ReadBody(r, large); err != nil || len(b) != large {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}), large)
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", large))))
	}
}

// A message waits for the room of bodies, and gives it back.
func TestReadMessage(t *testing.T) {
	of := make(chan *http.Request, 1)
	harness.Bodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { of <- r }), large).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	r := <-of
	read := func(ctx context.Context, size int) (leave func(), err error) {
		b, leave, err := harness.ReadMessage(ctx, r, strings.NewReader(strings.Repeat("x", size)), 2*large)
		if err == nil && len(b) != size {
			t.Errorf("%d of %d bytes", len(b), size)
		}
		return leave, err
	}
	leave, err := read(t.Context(), 2*large) // more than all there is takes all
	must(t, err)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(over, large/2); !errors.Is(err, context.Canceled) {
		t.Errorf("no room: %v", err)
	}
	_, err = read(over, 64<<10-1) // counts for nothing
	must(t, err)
	waits := make(chan error)
	go func() {
		leave, err := read(t.Context(), large/2)
		if err == nil {
			leave()
		}
		waits <- err
	}()
	leave()
	must(t, <-waits)
	if _, _, err := harness.ReadMessage(t.Context(), r, io.MultiReader(strings.NewReader(strings.Repeat("x", large/2)), &failing{}), large); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken one: %v", err)
	}
	leave, err = read(t.Context(), large) // after the broken one
	must(t, err)
	leave()
}

func TestReadBody(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 5000, large} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", size)))
		if b, err := harness.ReadBody(r, large); err != nil || len(b) != size {
			t.Errorf("%d of %d bytes, %v", len(b), size, err)
		}
	}
	long := httptest.NewRequest("POST", "/", &failing{})
	long.ContentLength = large + 1
	if _, err := harness.ReadBody(long, large); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("one that is told to be too large: %v", err)
	}
	broken := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("x"), &failing{}))
	if _, err := harness.ReadBody(broken, large); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a broken one: %v", err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
