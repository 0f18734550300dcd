package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Rand returns the dice of one place in the seed tree: equal paths throw alike, whatever
// else was thrown before, and paths that differ have nothing to do with each other.
func Rand(seed int64, path ...any) *rand.Rand {
	h := sha256.New()
	fmt.Fprintf(h, "astra-seed 1 %d", seed)
	for _, p := range path {
		fmt.Fprintf(h, "\x00%v", p)
	}
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])))
}
