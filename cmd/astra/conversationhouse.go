package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/llm"
	"github.com/astra-arenas/astra/mcp"
	"github.com/astra-arenas/astra/synth/trajectories"
)

// converse opens a house for one conversation, and takes it down again. It is a
// trajectories.Opener.
func (c *certifier) converse(ctx context.Context, arenas []*astra.Bundle, emulator llm.Model, f func(trajectories.House) error) error {
	with := c.with(llm.NewEmulated(emulator, &llm.EmulatorOptions{Logger: c.logger()}))
	return with.inGateway(ctx, func(gw *gateway.Gateway) error {
		for _, b := range arenas {
			if _, err := gw.AddArena(ctx, b); err != nil {
				return err
			}
		}
		h := &house{}
		door, err := c.agentDoor(h, gw)
		if err == nil {
			err = f(trajectories.House{Gateway: gw, Door: door + "/episode/mcp"})
		}
		return errors.Join(err, h.close())
	})
}

// with is the same certifier, with one runtime in the place of another of its kind.
func (c *certifier) with(rt gateway.Runtime) *certifier {
	other := &certifier{app: c.app, house: c.house, dir: c.dir, made: c.made}
	for _, have := range c.runtimes {
		if have.Kind() == rt.Kind() {
			have = rt
		}
		other.runtimes = append(other.runtimes, have)
	}
	return other
}

// agentDoor opens a door for agents, and none for anybody else.
func (a *app) agentDoor(h *house, gw *gateway.Gateway) (string, error) {
	doors, err := mcp.New(gw, &mcp.Options{Hosts: a.hosts(anywhere), Version: version(), Logger: a.logger()})
	if err != nil {
		return "", err
	}
	gw.OnToolsAdded(doors.ToolsAdded)
	url, err := h.serve("agents", anywhere.agents, &http.Server{Handler: doors.AgentHandler(), ReadHeaderTimeout: 10 * time.Second})
	h.undo = append(h.undo, func() error { return doors.Close(context.Background()) })
	return url, err
}
