// The contract's arena as a WebAssembly module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o contract.wasm .
package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unsafe"
)

//go:wasmimport astra log
func hostLog(text unsafe.Pointer, n uint32)

//go:wasmimport astra seed
func hostSeed() int64

//go:wasmimport astra now
func hostNow() int64

//go:wasmimport astra random
func hostRandom() int64

func main() {}

var held = map[uintptr][]byte{}

//go:wasmexport astra_alloc
func alloc(n uint32) uint32 {
	b := make([]byte, max(n, 1))
	at := uintptr(unsafe.Pointer(&b[0]))
	held[at] = b
	return uint32(at)
}

//go:wasmexport astra_free
func free(at uint32) { delete(held, uintptr(at)) }

var out []byte

func give(v any, err error) uint64 {
	var r any = struct {
		Value any `json:"value"`
	}{v}
	if err != nil {
		r = map[string]string{"error": err.Error()}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(r)
	out = []byte(strings.TrimSpace(b.String()))
	return uint64(uintptr(unsafe.Pointer(&out[0])))<<32 | uint64(len(out))
}

func text(at unsafe.Pointer, n uint32) []byte { return unsafe.Slice((*byte)(at), n) }

var total float64

//go:wasmexport astra_setup
func setup(at unsafe.Pointer, n uint32) uint64 {
	var s struct{ Total float64 }
	err := json.Unmarshal(text(at, n), &s)
	total = s.Total
	return give(nil, err)
}

//go:wasmexport astra_state
func state() uint64 { return give(map[string]float64{"total": total}, nil) }

var hogged [][]byte

//go:wasmexport astra_call
func call(tool unsafe.Pointer, toolLen uint32, args unsafe.Pointer, argsLen uint32) uint64 {
	var a struct {
		N       float64
		Text    string
		Value   json.RawMessage
		Message string
		Bytes   int
	}
	if err := json.Unmarshal(text(args, argsLen), &a); err != nil {
		return give(nil, err)
	}
	switch name := string(text(tool, toolLen)); name {
	case "add":
		total += a.N
		return give(total, nil)
	case "total":
		return give(total, nil)
	case "roll":
		return give(float64(uint64(hostRandom())>>11)/(1<<53), nil)
	case "clock":
		return give(hostNow(), nil)
	case "seed":
		return give(hostSeed(), nil)
	case "note":
		b := []byte(a.Text)
		hostLog(unsafe.Pointer(&b[0]), uint32(len(b)))
		return give(nil, nil)
	case "echo":
		return give(a.Value, nil)
	case "fail":
		total++
		return give(nil, fmt.Errorf("%s", a.Message))
	case "burn":
		for {
		}
	case "hog":
		for {
			hogged = append(hogged, make([]byte, 1<<20))
		}
	case "big":
		return give(strings.Repeat("x", a.Bytes), nil)
	default:
		return give(nil, fmt.Errorf("no tool %s", name))
	}
}
