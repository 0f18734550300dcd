package main

import (
	"io"
	"net"
	"net/http"
	"time"

	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
	"github.com/astra-arenas/astra/httpapi/nemogym"
	"github.com/astra-arenas/astra/httpapi/openenv"
	"github.com/astra-arenas/astra/httpapi/ors"
)

// openFaces serves the protocols of other frameworks, if that is asked for.
func (a *app) openFaces(h *house, gw *gateway.Gateway, at doorways, agents http.Handler) error {
	if at.faces == "" {
		return nil
	}
	shared, err := harness.New(gw, a.gate(at), []byte(h.token), agents, &harness.Options{Logger: a.logger()})
	if err != nil {
		return err
	}
	h.undo = append(h.undo, func() error { shared.Close(); return nil })
	mux := http.NewServeMux()
	mount := func(path string, face http.Handler) { mux.Handle(path+"/", http.StripPrefix(path, face)) }
	gym, standard := nemogym.New(shared, nil).Handler(), ors.New(shared, nil).Handler()
	env := openenv.New(shared, &openenv.Options{MaxSessions: a.config.MaxOpen})
	h.undo = append(h.undo, func() error { env.Close(); return nil })
	mount("/nemo-gym", gym)
	mount("/ors", standard)
	mount("/openenv", env.Handler())
	if h.atropos != nil {
		mount("/atropos", h.atropos.Handler())
	} else {
		mux.HandleFunc("/atropos/", noBatches)
	}
	mux.Handle("/", atRoot(gym, standard))
	h.Faces, err = h.serve("faces", at.faces, &http.Server{Handler: harness.Timed(harness.Bodies(mux, a.bodies()), 30*time.Second), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute})
	if key, _ := a.env("ASTRA_FACES_KEY"); key == "" && err == nil && !onLoopback(at.faces) {
		a.logger().Warn("whoever reaches the faces may open episodes and read rewards: set ASTRA_FACES_KEY", "faces", at.faces)
	}
	return err
}

// noBatches answers as the face of Atropos words what it refuses.
func noBatches(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotImplemented)
	io.WriteString(w, `{"detail":"this server hands out no batches; start it with --batch"}`)
}

func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// gate is that of the faces.
func (a *app) gate(at doorways) *harness.Gate {
	key, _ := a.env("ASTRA_FACES_KEY")
	return harness.NewGate(key, a.hosts(at))
}

// atRoot serves the two protocols whose clients know a host and no path. A tool of NeMo Gym may
// be called as one of ORS's paths is, but its clients have a session by then.
func atRoot(gym, standard http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ors.Knows(r.URL.Path) && !nemogym.InSession(r) {
			standard.ServeHTTP(w, r)
			return
		}
		gym.ServeHTTP(w, r)
	})
}

// sayFaces tells where they are, and what they ask for.
func (a *app) sayFaces(url string, batches bool) {
	asks := "no key: set ASTRA_FACES_KEY to ask for one"
	if key, _ := a.env("ASTRA_FACES_KEY"); key != "" {
		asks = "key as in ASTRA_FACES_KEY"
	}
	a.printf("faces     %s (NeMo Gym, Open Reward Standard; %s)\n", url, asks)
	a.printf("          %s/openenv/ARENA (OpenEnv), %s/nemo-gym/ARENA (NeMo Gym, one arena)\n", url, url)
	if batches {
		a.printf("          %s/atropos (Atropos)\n", url)
	}
}
