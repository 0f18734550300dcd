// Extism plays episodes of the bench's tool with the framework of that name: a fresh
// instance of the compiled plug-in for each, five calls, and away with it. It prints how
// many seconds they took.
//
//	go run . PLUGIN.wasm EPISODES
//
// It is a module of its own, so that astra's users need not have the framework.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	extism "github.com/extism/go-sdk"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: os.Args[1]}}}
	compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return err
	}
	defer compiled.Close(ctx)
	if err := episode(ctx, compiled); err != nil { // not counted
		return err
	}
	begun := time.Now()
	for range n {
		if err := episode(ctx, compiled); err != nil {
			return err
		}
	}
	fmt.Println(time.Since(begun).Seconds())
	return nil
}

func episode(ctx context.Context, compiled *extism.CompiledPlugin) error {
	p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return err
	}
	defer p.Close(ctx)
	for range 5 {
		_, out, err := p.CallWithContext(ctx, "get_user", []byte(`{"id":"u42"}`))
		if err != nil {
			return err
		}
		if !strings.Contains(string(out), "User 42") {
			return fmt.Errorf("get_user returned %.100q", out)
		}
	}
	return nil
}
