package main

import (
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/astra-arenas/astra/llm"
)

// modelFlags say how the model of a synthesis is asked. Which one it is, and where, are
// settings.
type modelFlags struct {
	model       llm.Options
	limits      llm.Limits
	prices      llm.Prices
	api         string
	replay      bool
	retry       bool
	temperature float64
}

func (f *modelFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.api, "api", "openai", "protocol of the model's `API`: openai or anthropic")
	flags.Float64Var(&f.temperature, "temperature", 0, "sampling temperature (default the server's)")
	flags.BoolVar(&f.model.Stream, "stream", false, "ask for replies in pieces, so that one that stalls is noticed")
	flags.DurationVar(&f.model.Timeout, "timeout", 5*time.Minute, "`TIME` that one reply may take")
	flags.IntVar(&f.limits.Concurrent, "concurrent", 0, "requests at a time (default as many as it takes)")
	flags.Float64Var(&f.limits.Requests, "requests", 0, "requests a minute (default unlimited)")
	flags.Float64Var(&f.limits.Tokens, "tokens", 0, "tokens a minute (default unlimited)")
	flags.Float64Var(&f.prices.Input, "price-in", 0, "what a million tokens of input cost")
	flags.Float64Var(&f.prices.Output, "price-out", 0, "what a million tokens of output cost")
	flags.BoolVar(&f.retry, "retry", false, "try again what an earlier run left unknown, such as after a server was down")
	flags.BoolVar(&f.replay, "replay", false, "ask the model nothing: replies that are not kept are an error")
}

func (f *modelFlags) check() error { return oneOf("api", f.api, "openai", "anthropic") }

// sampling is the temperature; nil if it was left to the server.
func (f *modelFlags) sampling(flags *pflag.FlagSet) *float64 {
	if !flags.Changed("temperature") {
		return nil
	}
	return &f.temperature
}

// chat is the model, behind a memory of what it said.
func (f *modelFlags) chat(a *app, memory llm.Notes, meter *llm.Meter) (llm.Model, error) {
	if f.replay {
		return llm.NewNotedCache(memory, a.config.Model, nil), nil
	}
	opts := f.model
	opts.BaseURL, opts.Model, opts.APIKey, opts.Limiter, opts.Meter = a.config.BaseURL, a.config.Model, a.apiKey(), llm.NewLimiter(f.limits), meter
	if opts.APIKey == "" && opts.BaseURL == "" {
		return nil, failf("Set ASTRA_API_KEY, or --base-url for a server that asks for none.", "the model's API wants a key")
	}
	var m llm.Model
	var err error
	if f.api == "anthropic" {
		m, err = llm.NewAnthropic(opts)
	} else {
		m, err = llm.NewOpenAI(opts)
	}
	if err != nil {
		return nil, err
	}
	return llm.NewNotedCache(memory, a.config.Model, m), nil
}

// agents is how agents ask their model: through a memory of what it said.
func (f *modelFlags) agents(memory llm.Notes) *http.Client {
	if f.replay {
		return &http.Client{Transport: llm.NewTransport(memory, nil, nil)}
	}
	return &http.Client{Transport: llm.NewTransport(memory, http.DefaultTransport, llm.NewLimiter(f.limits))}
}
