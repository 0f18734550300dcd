//go:build wasip1

// The bench's tool get_user as an Extism plug-in.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// What an Extism host offers, by its documented names.

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func inputLoadU64(at uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoadU8(at uint64) uint32

//go:wasmimport extism:host/env alloc
func hostAlloc(n uint64) uint64

//go:wasmimport extism:host/env store_u64
func storeU64(at, v uint64)

//go:wasmimport extism:host/env store_u8
func storeU8(at uint64, v uint32)

//go:wasmimport extism:host/env output_set
func outputSet(at, n uint64)

func input() []byte {
	b := make([]byte, inputLength())
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], inputLoadU64(uint64(i)))
	}
	for ; i < len(b); i++ {
		b[i] = byte(inputLoadU8(uint64(i)))
	}
	return b
}

func output(b []byte) {
	n := uint64(len(b))
	at := hostAlloc(n)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		storeU64(at+uint64(i), binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < len(b); i++ {
		storeU8(at+uint64(i), uint32(b[i]))
	}
	outputSet(at, n)
}

type user struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	City    string `json:"city"`
	Balance int    `json:"balance"`
}

var users = map[string]user{}

func init() {
	for i := range 500 {
		id := fmt.Sprintf("u%d", i)
		users[id] = user{id, fmt.Sprintf("User %d", i), []string{"Paris", "Rome", "Oslo"}[i%3], i * 10}
	}
}

//go:wasmexport get_user
func getUser() int32 {
	var args struct{ ID string }
	if json.Unmarshal(input(), &args) != nil {
		return 1
	}
	out, err := json.Marshal(users[args.ID])
	if err != nil {
		return 1
	}
	output(out)
	return 0
}

func main() {}
