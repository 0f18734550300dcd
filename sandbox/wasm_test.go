package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/runtimetest"
)

// contractModule is testdata/wasm, built once.
var contractModule = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "astra-wasm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "contract.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "./testdata/wasm")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func newTestWASM(tb testing.TB, o Options) *WASM {
	tb.Helper()
	rt := NewWASM(&o)
	tb.Cleanup(func() {
		if err := rt.Close(); err != nil {
			tb.Error(err)
		}
	})
	return rt
}

func TestWASMContract(t *testing.T) {
	code, err := contractModule()
	if err != nil {
		t.Fatal(err)
	}
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			runtimetest.Run(t, newTestWASM(t, o), runtimetest.Arena(t, astra.WASM, "tools.wasm", code))
		})
	}
}
