//go:build wasip1

// The bench's tools as a WebAssembly module: see package sandbox for what a module exports.
package main

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

type user struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	City    string `json:"city"`
	Balance int    `json:"balance"`
}

type order struct {
	ID    string  `json:"id"`
	User  string  `json:"user"`
	Total float64 `json:"total"`
}

var (
	users  = map[string]user{}
	orders []order
	held   = map[uint32][]byte{}
	out    []byte
)

func init() {
	for i := range 500 {
		id := fmt.Sprintf("u%d", i)
		users[id] = user{id, fmt.Sprintf("User %d", i), []string{"Paris", "Rome", "Oslo"}[i%3], i * 10}
	}
}

func main() {}

//go:wasmexport astra_alloc
func alloc(n uint32) uint32 {
	b := make([]byte, max(n, 1))
	at := uint32(uintptr(unsafe.Pointer(&b[0])))
	held[at] = b
	return at
}

//go:wasmexport astra_call
func call(tool unsafe.Pointer, toolLen uint32, args unsafe.Pointer, argsLen uint32) uint64 {
	var a struct {
		ID, User string
		Total    float64
	}
	if err := json.Unmarshal(unsafe.Slice((*byte)(args), argsLen), &a); err != nil {
		return result(map[string]string{"error": err.Error()})
	}
	if unsafe.String((*byte)(tool), toolLen) == "get_user" {
		return result(map[string]user{"value": users[a.ID]})
	}
	o := order{fmt.Sprintf("o%d", len(orders)), a.User, a.Total}
	orders = append(orders, o)
	return result(map[string]order{"value": o})
}

//go:wasmexport astra_state
func state() uint64 { return result(map[string]map[string][]order{"value": {"orders": orders}}) }

func result(v any) uint64 {
	out, _ = json.Marshal(v)
	return uint64(uintptr(unsafe.Pointer(&out[0])))<<32 | uint64(len(out))
}
