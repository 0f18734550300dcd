//go:build wasip1

// The tools of the arena ferries, as a WebAssembly module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o tools.wasm .
//
// What astra calls and what it offers is in the documentation of package sandbox; here it
// is the lower half of the file, which another arena could take as it is.
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// A sailing is a line of data/sailings.csv; times are minutes after midnight.
type sailing struct {
	ID      string `json:"id"`
	From    string `json:"from"`
	To      string `json:"to"`
	Departs string `json:"departs"`
	Arrives string `json:"arrives"`
	Seats   int    `json:"seats_left"`
}

// The world: an episode's copy of memory keeps it.
var (
	sailings []sailing
	bookings = map[string]int{} // by sailing
)

// load runs when the arena is loaded, once for all episodes.
func load() {
	lines, err := csv.NewReader(strings.NewReader(data("sailings.csv"))).ReadAll()
	if err != nil {
		panic(err)
	}
	for _, l := range lines[1:] {
		s := sailing{ID: l[0], From: l[1], To: l[2], Departs: l[3], Arrives: l[4]}
		fmt.Sscan(l[5], &s.Seats)
		sailings = append(sailings, s)
	}
}

// setup fills sailings up: {"full": ["F3", …]}.
func setup(scenario []byte) error {
	var s struct{ Full []string }
	if err := json.Unmarshal(scenario, &s); err != nil {
		return err
	}
	for i := range sailings {
		if slices.Contains(s.Full, sailings[i].ID) {
			sailings[i].Seats = 0
		}
	}
	return nil
}

func state() any { return map[string]any{"bookings": bookings} }

var tools = map[string]func(args []byte) (any, error){
	"list_sailings": tool(func(a struct{ From, To string }) (any, error) {
		for _, port := range []string{a.From, a.To} {
			if port != "" && !slices.ContainsFunc(sailings, func(s sailing) bool { return s.From == port || s.To == port }) {
				return nil, fmt.Errorf("there is no port %s; without ports all sailings are listed", port)
			}
		}
		found := []sailing{}
		for _, s := range sailings {
			if (a.From == "" || s.From == a.From) && (a.To == "" || s.To == a.To) {
				found = append(found, s)
			}
		}
		return map[string]any{"date": time.UnixMilli(now()).UTC().Format(time.DateOnly), "sailings": found}, nil
	}),
	"plan_journey": tool(func(a struct{ From, To, After string }) (any, error) { return plan(a.From, a.To, a.After) }),
	"book": tool(func(a struct {
		Sailing string
		Seats   int
	}) (any, error) {
		for i := range sailings {
			s := &sailings[i]
			if s.ID != a.Sailing {
				continue
			}
			if s.Seats < a.Seats {
				return nil, fmt.Errorf("%s has %d seats left", s.ID, s.Seats)
			}
			s.Seats -= a.Seats
			bookings[s.ID] += a.Seats
			return map[string]any{"sailing": s.ID, "booked": a.Seats, "seats_left": s.Seats}, nil
		}
		return nil, fmt.Errorf("there is no sailing %s; list_sailings tells their ids", a.Sailing)
	}),
}

// plan finds the journey that arrives first, of sailings with a seat left. Sailings are in
// order of departure, so one pass over them settles the earliest arrival everywhere.
func plan(from, to, after string) (any, error) {
	arrival, last := map[string]string{from: after}, map[string]sailing{}
	for _, s := range sailings {
		at, there := arrival[s.From]
		if best, known := arrival[s.To]; !there || s.Seats < 1 || s.Departs < at || known && best <= s.Arrives {
			continue
		}
		arrival[s.To], last[s.To] = s.Arrives, s
	}
	if _, ok := last[to]; !ok {
		return nil, fmt.Errorf("no journey from %s to %s after %s has a seat left today", from, to, after)
	}
	legs := []string{}
	for at := to; at != from; at = last[at].From {
		legs = append(legs, last[at].ID)
	}
	slices.Reverse(legs)
	return map[string]any{"legs": legs, "departs": find(legs[0]).Departs, "arrives": arrival[to]}, nil
}

func find(id string) sailing {
	return sailings[slices.IndexFunc(sailings, func(s sailing) bool { return s.ID == id })]
}

// tool makes a tool of a function of its arguments.
func tool[T any](f func(T) (any, error)) func([]byte) (any, error) {
	return func(args []byte) (any, error) {
		var a T
		if err := json.Unmarshal(args, &a); err != nil {
			return nil, err
		}
		return f(a)
	}
}

// What the host offers.

//go:wasmimport astra now
func now() int64

//go:wasmimport astra data
func hostData(path unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int32

// data is the text of a file under data/.
func data(path string) string {
	var one [1]byte
	n := hostData(unsafe.Pointer(unsafe.StringData(path)), uint32(len(path)), unsafe.Pointer(&one), 0)
	if n <= 0 {
		return ""
	}
	buf := make([]byte, n)
	hostData(unsafe.Pointer(unsafe.StringData(path)), uint32(len(path)), unsafe.Pointer(&buf[0]), uint32(n))
	return string(buf)
}

// What the host calls.

func init() { load() }

func main() {}

var held = map[uint32][]byte{} // so that the collector leaves them alone

//go:wasmexport astra_alloc
func alloc(n uint32) uint32 {
	b := make([]byte, max(n, 1))
	at := uint32(uintptr(unsafe.Pointer(&b[0])))
	held[at] = b
	return at
}

//go:wasmexport astra_free
func free(at uint32) { delete(held, at) }

//go:wasmexport astra_call
func call(name unsafe.Pointer, nameLen uint32, args unsafe.Pointer, argsLen uint32) uint64 {
	f, ok := tools[unsafe.String((*byte)(name), nameLen)]
	if !ok {
		return result(nil, fmt.Errorf("there is no such tool"))
	}
	return result(f(unsafe.Slice((*byte)(args), argsLen)))
}

//go:wasmexport astra_setup
func callSetup(scenario unsafe.Pointer, n uint32) uint64 {
	return result(nil, setup(unsafe.Slice((*byte)(scenario), n)))
}

//go:wasmexport astra_state
func callState() uint64 { return result(state(), nil) }

var out []byte

// result leaves {"value": …} or {"error": …} where the host reads it.
func result(value any, err error) uint64 {
	r := map[string]any{"value": value}
	if err != nil {
		r = map[string]any{"error": err.Error()}
	}
	if out, err = json.Marshal(r); err != nil {
		out = []byte(`{"error":"the result is no JSON"}`)
	}
	return uint64(uintptr(unsafe.Pointer(&out[0])))<<32 | uint64(len(out))
}
