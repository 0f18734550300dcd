package tables

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A script is calls of a world, each with what it must return, or after "!" be refused with.
func script(t *testing.T, inst gateway.Instance, calls [][3]string) {
	t.Helper()
	for _, c := range calls {
		r, err := inst.Call(context.WithoutCancel(t.Context()), c[0], json.RawMessage(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		if why, refused := strings.CutPrefix(c[2], "!"); refused != !r.OK() || refused && !strings.Contains(r.Error, why) || !refused && !strings.Contains(string(r.Value), c[2]) {
			t.Errorf("%s(%s) = %s %s; want %s", c[0], c[1], r.Value, r.Error, c[2])
		}
	}
}

// Optional arguments do what their documents say.
func TestOptionalArguments(t *testing.T) {
	script(t, world(t, newArena(0, ferries(t), 0, true), nil), [][3]string{
		{"find_port", `{"name":"aldersund"}`, `"code":"ALD"`},
		{"find_port", `{"name":"Alder"}`, "!Check the spelling"},
		{"find_port", `{"name":"Alder","match":"start"}`, `"code":"ALD"`},
		{"find_port", `{"name":"","match":"start"}`, "!18 of them fit"},
		{"list_ports", `{"region":"north coast","limit":1}`, `"items":["ALD"]`},
		{"list_ports", `{"limit":1}`, "!Say which are meant"},
		{"get_port_depth_m", `{"code":"BRA","decimals":0}`, `"depth_m":10}`},
		{"get_port_depth_m", `{"code":"BRA"}`, `"depth_m":10.3}`},
		{"get_port_depth_m", `{"code":"NONE"}`, "!There is no port"},
		{"highest_depth_m_port", `{"region":"north coast","rank":99}`, "!Fewer fit"},
		{"calculate_ratio", `{"a":1,"b":0}`, "!divided by 0"},
		{"count_days", `{"from":"2026-02-30","to":"2026-03-01"}`, "!is no date"},
	})
}

// The desk keeps its rules, and the same deeds in another order leave the same state.
func TestDesk(t *testing.T) {
	a := newArena(0, ferries(t), 0, true)
	d := newDesk(nouns[0], a.desk.table)
	a.desk = d
	records := d.records(rand.New(rand.NewPCG(1, 2)), today)
	first, second, soon := records[0], records[1], &records[2]
	soon.date = day(today, 1)
	free := ""
	for i := range d.table.Rows {
		if !taken(d.table, records, d.table.key(i)) {
			free = d.table.key(i)
		}
	}
	start := func() gateway.Instance { return world(t, a, json.RawMessage(encode(d.scenario(records)))) }
	port := func(r record) string { return d.table.key(r.row) }
	create := encode(object{"port": free, "quantity": 3.0, "date": day(today, 40)})
	inst := start()
	script(t, inst, [][3]string{
		{"find_booking", `{"port":"` + port(first) + `"}`, first.id},
		{"find_booking", `{"port":"` + free + `"}`, "!There is no open booking"},
		{"find_booking", `{"port":"NONE"}`, "!There is no port"},
		{"open_booking", encode(object{"port": port(first), "quantity": 3.0, "date": day(today, 40)}), "!There is an open booking"},
		{"open_booking", encode(object{"port": free, "quantity": 3.0, "date": day(today, 1)}), "!notice of 3 days"},
		{"open_booking", create, `"status":"open"`},
		{"move_booking", encode(object{"id": first.id, "date": day(today, 90)}), day(today, 90)},
		{"move_booking", encode(object{"id": first.id, "date": day(today, -1)}), "!too early"},
		{"change_booking_quantity", `{"id":"` + first.id + `","quantity":9}`, `"quantity":9`},
		{"transfer_booking", encode(object{"id": first.id, "port": port(second)}), "!There is an open booking"},
		{"cancel_booking", `{"id":"` + second.id + `"}`, `"status":"cancelled"`},
		{"cancel_booking", `{"id":"` + second.id + `"}`, "!is cancelled"},
		{"transfer_booking", encode(object{"id": first.id, "port": port(second)}), first.id},
		{"cancel_booking", `{"id":"nothing"}`, "!There is no booking"},
		{"cancel_booking", `{"id":"` + soon.id + `"}`, "!cannot be cancelled any more"},
	})
	other := start()
	script(t, other, [][3]string{
		{"cancel_booking", `{"id":"` + second.id + `"}`, second.id},
		{"transfer_booking", encode(object{"id": first.id, "port": port(second)}), first.id},
		{"change_booking_quantity", `{"id":"` + first.id + `","quantity":9}`, first.id},
		{"move_booking", encode(object{"id": first.id, "date": day(today, 90)}), first.id},
		{"open_booking", create, free},
	})
	x, errX := inst.State(t.Context())
	y, errY := other.State(t.Context())
	if errX != nil || errY != nil || !astra.Same(x.Value, y.Value, nil) {
		t.Errorf("states differ: %s and %s, %v %v", x.Value, y.Value, errX, errY)
	}
}
