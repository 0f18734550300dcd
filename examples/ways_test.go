package examples_test

import (
	"encoding/json"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A way is one attempt at a task: gold calls of somebody else's, and what they deserve.
type way struct {
	name, arena, task string
	calls             string // as a task's gold: a list for each turn
	answer            string
	reward            float64
}

// TestOtherWays plays solutions that differ from the gold ones and are as good, and
// attempts that look right and are not.
func TestOtherWays(t *testing.T) {
	g := serve(t)
	for _, w := range ways {
		t.Run(w.arena+"/"+w.task+"/"+w.name, func(t *testing.T) {
			a, err := g.Arena(w.arena)
			must(t, err)
			task := *a.Task(w.task)
			task.Gold = nil
			must(t, json.Unmarshal([]byte(w.calls), &task.Gold))
			o, err := g.Open(t.Context(), gateway.OpenRequest{Arena: w.arena, Task: w.task, Mode: astra.Eval})
			must(t, err)
			p := &player{g: g, arena: a, task: &task, id: o.Episode}
			if score := p.gold(t, w.answer); score.Reward < w.reward-1e-9 || score.Reward > w.reward+1e-9 {
				t.Errorf("reward %v, want %v: %s", score.Reward, w.reward, indent(score))
			}
		})
	}
}

var ways = []way{
	{"look it up in the list", "files", "petras-extension", `[[{"tool": "read_file", "args": {"path": "/staff/phone-list.txt"}}]]`, "214", 1},
	{"say it in words", "files", "petras-extension", `[[{"tool": "search_files", "args": {"text": "petra lindholm: "}}]]`, "It is 214.", 0.8},
	{"list the drafts", "files", "the-lease-is-final", `[[
		{"tool": "list_folder", "args": {"path": "/contracts/drafts"}},
		{"tool": "move_entry", "args": {"from": "$1.value.entries.1.path", "to": "/contracts/lease-2026.txt"}}]]`, "", 1},
	{"move the wrong draft", "files", "the-lease-is-final", `[[
		{"tool": "list_folder", "args": {"path": "/contracts/drafts"}},
		{"tool": "move_entry", "args": {"from": "$1.value.entries.0.path", "to": "/contracts/lease-2026.txt"}}]]`, "", 0},
	{"write the list anew", "files", "shopping-for-soup", `[
		[{"tool": "show_tree"}, {"tool": "read_file", "args": {"path": "/recipes/soups/leek-soup.txt"}}],
		[{"tool": "write_file", "args": {"path": "/shopping.txt", "text": "leeks\npotatoes\ncream\n"}}],
		[{"tool": "read_file", "args": {"path": "/recipes/puddings/plum-cake.txt"}},
		 {"tool": "write_file", "args": {"path": "/shopping.txt", "text": "leeks\npotatoes\ncream\nplums\nflour\nyeast\n", "overwrite": true}}]]`, "", 1},
	{"forget the cake", "files", "shopping-for-soup", `[
		[{"tool": "show_tree"}, {"tool": "read_file", "args": {"path": "/recipes/soups/leek-soup.txt"}}],
		[{"tool": "write_file", "args": {"path": "/shopping.txt", "text": "leeks\npotatoes\ncream\n"}}],
		[]]`, "", 0},
	{"delete the session too", "files", "clear-the-caches", `[[
		{"tool": "show_tree", "args": {"path": "/tmp"}},
		{"tool": "delete_entry", "args": {"path": "/tmp/cache-b.txt"}},
		{"tool": "delete_entry", "args": {"path": "/tmp/cache-a.txt"}},
		{"tool": "delete_entry", "args": {"path": "/tmp/session.txt"}}]]`, "", 0},

	{"look both up apart", "inventory", "cable-difference", `[[
		{"tool": "find_items", "args": {"query": "five-core"}},
		{"tool": "quote_order", "args": {"sku": "$1.value.items.0.sku", "quantity": 300}},
		{"tool": "find_items", "args": {"query": "three-core"}},
		{"tool": "quote_order", "args": {"sku": "$3.value.items.0.sku", "quantity": 300}}]]`, "342.24", 1},
	{"forget the discount", "inventory", "cable-difference", `[[
		{"tool": "find_items", "args": {"query": "cable"}},
		{"tool": "quote_order", "args": {"sku": "$1.value.items.0.sku", "quantity": 300}},
		{"tool": "quote_order", "args": {"sku": "$1.value.items.1.sku", "quantity": 300}}]]`, "354", 0.8},
	{"begin with the last", "inventory", "gather-saws", `[[
		{"tool": "find_items", "args": {"query": "SAW"}},
		{"tool": "get_stock", "args": {"sku": "$1.value.items.0.sku"}},
		{"tool": "transfer_stock", "args": {"sku": "$1.value.items.0.sku", "from": "$2.value.levels.3.warehouse", "to": "$2.value.levels.0.warehouse", "quantity": "$2.value.levels.3.available"}},
		{"tool": "transfer_stock", "args": {"sku": "$1.value.items.0.sku", "from": "$2.value.levels.2.warehouse", "to": "$2.value.levels.0.warehouse", "quantity": "$2.value.levels.2.available"}},
		{"tool": "transfer_stock", "args": {"sku": "$1.value.items.0.sku", "from": "$2.value.levels.1.warehouse", "to": "$2.value.levels.0.warehouse", "quantity": "$2.value.levels.1.available"}}]]`, "", 1},
	{"order while asking", "inventory", "most-bolts", `[[
		{"tool": "find_items", "args": {"query": "M8", "category": "fasteners"}},
		{"tool": "get_stock", "args": {"sku": "BLT-0820"}},
		{"tool": "create_order", "args": {"sku": "BLT-0820", "warehouse": "$2.value.levels.3.warehouse", "quantity": 50}}]]`, "", 0},
	{"order twice", "inventory", "restock-lowest", `[
		[{"tool": "find_items", "args": {"query": "M8 bolt"}}, {"tool": "get_stock", "args": {"sku": "BLT-0820"}}],
		[{"tool": "create_order", "args": {"sku": "BLT-0820", "warehouse": "$2.value.levels.3.warehouse", "quantity": 200}},
		 {"tool": "create_order", "args": {"sku": "BLT-0820", "warehouse": "$2.value.levels.3.warehouse", "quantity": 200}}]]`, "", 0},

	{"name the travellers in another order", "travel", "cheapest-for-three", `[[
		{"tool": "find_place", "args": {"query": "istanbul turkey"}},
		{"tool": "find_place", "args": {"query": "Madrid"}},
		{"tool": "find_flights", "args": {"from": "$2.value.places.0.code", "to": "$1.value.places.0.code", "date": "2026-06-14", "days": 3, "sort": "fare"}},
		{"tool": "book_flight", "args": {"flight": "$3.value.flights.0.flight", "date": "$3.value.flights.0.date", "travellers": ["Marc Ferrer", "Pau Vidal", "Rosa Vidal"]}}]]`, "", 1},
	{"take the second cheapest", "travel", "cheapest-for-three", `[[
		{"tool": "find_place", "args": {"query": "Istanbul"}},
		{"tool": "find_place", "args": {"query": "Madrid"}},
		{"tool": "find_flights", "args": {"from": "ES01", "to": "TR01", "date": "2026-06-14", "days": 3, "sort": "fare"}},
		{"tool": "book_flight", "args": {"flight": "$3.value.flights.1.flight", "date": "$3.value.flights.1.date", "travellers": ["Marc Ferrer", "Pau Vidal", "Rosa Vidal"]}}]]`, "", 0},
	{"look at all bookings", "travel", "mira-stays-home", `[[
		{"tool": "list_bookings"},
		{"tool": "cancel_booking", "args": {"code": "$1.value.bookings.3.code"}},
		{"tool": "cancel_booking", "args": {"code": "$1.value.bookings.1.code"}}]]`, "", 1},
	{"cancel the other Mira's too", "travel", "mira-stays-home", `[[
		{"tool": "list_bookings", "args": {"traveller": "Mira"}},
		{"tool": "cancel_booking", "args": {"code": "$1.value.bookings.0.code"}},
		{"tool": "cancel_booking", "args": {"code": "$1.value.bookings.1.code"}},
		{"tool": "cancel_booking", "args": {"code": "$1.value.bookings.3.code"}}]]`, "", 0},
	{"book anew instead of changing", "travel", "changing-plans", `[
		[{"tool": "find_place", "args": {"query": "Oslo"}}, {"tool": "find_place", "args": {"query": "Istanbul"}},
		 {"tool": "find_flights", "args": {"from": "NO01", "to": "TR01", "date": "2026-06-18"}}],
		[{"tool": "book_flight", "args": {"flight": "NO01-TR01-1", "date": "2026-06-18", "travellers": ["Sigrid Moen"]}}],
		[{"tool": "book_flight", "args": {"flight": "NO01-TR01-3", "date": "2026-06-18", "travellers": ["Sigrid Moen"]}}]]`, "", 0},
}
