package sandbox

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrNotBuilt says that the binary was built without the JavaScript engine.
var ErrNotBuilt = errors.New("the JavaScript engine is not built in: run make")

// engines holds quickjs.wasm beside its expected hash. Only the hash is in the
// repository, so that the package builds without the engine too.
//
//go:embed engine
var engines embed.FS

//go:embed boot.js
var bootScript string

// readEngine returns the engine's bytes after checking that they are the pinned ones:
// addresses and calling conventions hold for no other.
func readEngine() ([]byte, error) {
	want, err := engines.ReadFile("engine/quickjs.wasm.sha256")
	if err != nil {
		return nil, err
	}
	b, err := engines.ReadFile("engine/quickjs.wasm")
	if err != nil {
		return nil, ErrNotBuilt
	}
	return b, checkEngine(b, string(want))
}

func checkEngine(b []byte, want string) error {
	want, _, _ = strings.Cut(want, " ")
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("the JavaScript engine has SHA-256 %s, not the pinned %s: run make again", got, want)
	}
	return nil
}
