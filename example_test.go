package astra_test

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/astra-arenas/astra"
)

func write(dir, name, text string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
}

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "arena")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	write(dir, "arena.yaml", `name: greeter
version: 1.0.0
tools:
  - name: greet
    description: Greets somebody.
    input: {type: object, properties: {name: {type: string}}, required: [name]}
`)
	write(dir, "tools.js", "export function greet({name}) { return {text: `Hello, ${name}!`}; }\n")
	write(dir, "tasks.jsonl", `{"id": "ada", "turns": [{"prompt": "Greet Ada."}], "subtasks": [{"id": "s1", "tool": "greet", "answer": "Hello, Ada!"}]}`+"\n")

	arena, err := astra.Load(dir)
	if err != nil {
		log.Fatal(err) // says file, line, what is wrong and what to do
	}
	fmt.Println(arena.Name, arena.Version, arena.Runtime, arena.Tools[0].Name, arena.Tasks[0].ID)
	fmt.Println(arena.Tool("greet").CheckArgs(json.RawMessage(`{"name": 7}`)))
	// Output:
	// greeter 1.0.0 javascript greet ada
	// argument "name": must be a string, got 7
}

func ExampleBundle_Load_refused() {
	bundle, err := astra.NewBundle([]astra.File{
		{Path: "arena.yaml", Data: []byte("name: greeter\nversion: 1.0\ntools: []\n")},
		{Path: "tools.js"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = bundle.Load()
	fmt.Println(err)
	// Output:
	// arena.yaml:2: version: must be text, not a number; write it in quotes
	// arena.yaml:3: tools: 0 tools; an arena has 1 to 256; list the functions that agents may call
}

func ExampleSame() {
	same := func(want, got string, c *astra.Compare) {
		fmt.Println(astra.Same(json.RawMessage(want), json.RawMessage(got), c))
	}
	same(`1240.5`, `"1240.50"`, nil)
	same(`"Main Street"`, `" main  STREET"`, nil)
	same(`true`, `"true"`, nil)
	same(`["a", "b"]`, `["b", "a"]`, &astra.Compare{As: "set"})
	// Output:
	// true
	// true
	// false
	// true
}

func ExampleInterpolate() {
	args, err := astra.Interpolate(
		json.RawMessage(`{"sku": "$1.value.items.0.sku", "price": "$$5"}`),
		[]json.RawMessage{json.RawMessage(`{"items": [{"sku": "B-8"}]}`)})
	fmt.Println(string(args), err)
	// Output:
	// {"sku":"B-8","price":"$5"} <nil>
}
