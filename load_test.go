package astra_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

const inventoryYAML = `name: inventory
version: 1.0.0
title: Warehouses and orders
description: Warehouses, their stock, and orders.
domain: logistics
license: Apache-2.0
runtime: javascript
entry: tools.js
now: 2026-03-02T09:00:00Z
limits: {memory: 64MiB, fuel: 500000000, wall: 10s, result: 256KiB, log: 64KiB, depth: 64}
tools:
  - name: find_item
    title: Find an item
    description: Finds an item by its name.
    input: {type: object, properties: {name: {type: string, minLength: 1}}, required: [name], additionalProperties: false}
    output: {type: object, properties: {sku: {type: string}, warehouse: {type: string}}, required: [sku]}
    annotations: {read_only: true, destructive: false, idempotent: true, open_world: false}
  - name: stock_level
    description: Says how many are left.
    input: {type: object, properties: {sku: {type: string}, warehouse: {type: string}}, required: [sku, warehouse]}
  - name: create_order
    description: Orders more.
    input: {type: object, properties: {sku: {type: string}, warehouse: {type: string}, quantity: {type: integer, minimum: 1}}, required: [sku, warehouse, quantity]}
provenance: {author: someone}
`

const restock = `{"id": "restock-7", "split": "train", "seed": 7, "now": "2026-03-02T09:00:00Z", "difficulty": 3, ` +
	`"turns": [{"prompt": "Which warehouse holds the M8 bolts, and how many are left?"}, {"prompt": "Order 200 more for it, and answer with its code alone.", "tools_added": ["create_order"]}], ` +
	`"tools": ["find_item", "stock_level"], "distractors": ["geo/find_place"], "scenario": {"warehouses": 4}, ` +
	`"subtasks": [{"id": "s1", "question": "…", "tool": "find_item", "answer": "W3", "at": "/warehouse", "depends_on": []}, ` +
	`{"id": "s2", "question": "…", "tool": "stock_level", "answer": 1240.5, "compare": {"tolerance": 0.01}, "depends_on": ["s1"]}, ` +
	`{"id": "s3", "question": "…", "tool": "create_order", "depends_on": ["s1"], "solved": "step.value.quantity == 200 && step.value.warehouse == 'W3'"}], ` +
	`"gold": [[{"tool": "find_item", "args": {"name": "M8 bolt"}}, {"tool": "stock_level", "args": {"sku": "$1.value.sku", "warehouse": "$1.value.warehouse"}}], ` +
	`[{"tool": "create_order", "args": {"sku": "$1.value.sku", "warehouse": "$1.value.warehouse", "quantity": 200}}]], ` +
	`"answer": {"expected": "W3"}, "verify": {"no_overdraft": "state.balance >= 0", "same_end": "state == gold.state"}, ` +
	`"weights": {"f1": 0.8, "answer": 0.2}, "budget": {"calls": 12}}` + "\n"

// bundleOf makes a bundle of the inventory arena with some files replaced; "" removes one.
func bundleOf(t testing.TB, files map[string]string) *astra.Bundle {
	t.Helper()
	all := map[string]string{"arena.yaml": inventoryYAML, "tools.js": "export function find_item() {}\n", "tasks.jsonl": restock}
	for path, text := range files {
		all[path] = text
	}
	var list []astra.File
	for path, text := range all {
		if text != "" {
			list = append(list, astra.File{Path: path, Data: []byte(text)})
		}
	}
	b, err := astra.NewBundle(list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loadInventory(t testing.TB) *astra.Arena {
	t.Helper()
	a, err := bundleOf(t, nil).Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// DESIGN.md's own example is what everyone writes first.
func TestLoadDesignExample(t *testing.T) {
	a := loadInventory(t)
	if len(a.Tools) != 3 || len(a.Tasks) != 1 || a.Name != "inventory" || a.Runtime != astra.JavaScript {
		t.Fatalf("loaded %+v", a)
	}
	task := a.Task("restock-7")
	if got := task.Calls(); got != 12 {
		t.Errorf("budget = %d, want 12", got)
	}
	if got := fmt.Sprint(a.InitialTools(task)); got != "[find_item stock_level]" {
		t.Errorf("initial tools = %s", got)
	}
	if a.Limits.Memory != 64<<20 || a.Limits.Fuel != 500_000_000 || a.Limits.Wall.Seconds() != 10 {
		t.Errorf("limits = %+v", a.Limits)
	}
	if !a.Tool("find_item").Annotations.ReadOnly || !a.Tool("create_order").Annotations.Destructive {
		t.Error("annotations: find_item reads only, and create_order did not say that it does not destroy")
	}
	if got := string(a.Tool("find_item").Input); !strings.HasPrefix(got, `{"type":"object","properties":{"name":`) {
		t.Errorf("input schema lost the author's order: %s", got)
	}
}

// refusedWith fails unless err lists a problem that begins with want.
func refusedWith(t *testing.T, err error, want string) {
	t.Helper()
	var all *astra.BundleErrors
	if !errors.As(err, &all) {
		t.Fatalf("error = %v, want a refusal beginning with %q", err, want)
	}
	for _, p := range all.List {
		if strings.HasPrefix(p.Error(), want) {
			if p.Fix == "" {
				t.Errorf("%v: says nothing of what to do", p)
			}
			return
		}
	}
	t.Errorf("refusals:\n%v\nnone begins with %q", err, want)
}
