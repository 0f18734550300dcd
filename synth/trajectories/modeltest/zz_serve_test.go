package modeltest

import (
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/astra-arenas/astra/synth/scores/scorestest"
)

func TestServe(t *testing.T) {
	if os.Getenv("SERVE") == "" {
		t.Skip()
	}
	s := New(t, &Options{Judge: scorestest.Judge, Path: os.Getenv("SERVE")})
	os.WriteFile("/tmp/serve/url", []byte(s.URL+"/v1"), 0o644)
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
	fmt.Println(s.Asked())
}
