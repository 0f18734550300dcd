package main

import (
	"errors"
	"net/url"

	"github.com/astra-arenas/astra/llm"
)

// emulatorKey is the variable that the emulator's key comes from, and nothing else: no
// bundle, file or process list shows it.
const emulatorKey = "ASTRA_EMULATOR_API_KEY"

// emulatorSettings are the settings of the model that answers for emulated tools.
var emulatorSettings = []string{"emulator_model", "emulator_api", "emulator_base_url", "emulator_cache"}

// emulator is the runtime of emulated arenas. Without a model it answers what their
// cassettes know.
func (a *app) emulator() (*llm.Emulated, error) {
	c := &a.config.Emulator
	if c.Model == "" {
		if *c != (emulatorConfig{}) {
			return nil, failf("Name the model with emulator_model.", "the emulator has settings and no model")
		}
		return llm.NewEmulated(nil, nil), nil
	}
	m, err := a.emulatorModel()
	if err == nil && c.Cache != "" {
		m, err = llm.NewCache(c.Cache, c.Model, m)
	}
	if err != nil {
		return nil, err
	}
	return llm.NewEmulated(m, &llm.EmulatorOptions{Logger: a.logger()}), nil
}

func (a *app) emulatorModel() (llm.Model, error) {
	c := &a.config.Emulator
	key, _ := a.env(emulatorKey)
	if key == "" && c.BaseURL == "" {
		return nil, failf("Set "+emulatorKey+", or emulator_base_url for a server that asks for none.", "the emulator's API wants a key")
	}
	opts := llm.Options{BaseURL: c.BaseURL, Model: c.Model, APIKey: key}
	if c.API == "anthropic" {
		return llm.NewAnthropic(opts)
	}
	return llm.NewOpenAI(opts)
}

func word(at func(*config) *string, words ...string) func(*config, []string) error {
	return func(c *config, v []string) error {
		for _, w := range words {
			if v[0] == w {
				*at(c) = w
				return nil
			}
		}
		return errors.New("want " + words[0] + " or " + words[1])
	}
}

func webURL(at func(*config) *string) func(*config, []string) error {
	return func(c *config, v []string) error {
		if u, err := url.Parse(v[0]); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("want a URL such as http://localhost:8000/v1")
		}
		*at(c) = v[0]
		return nil
	}
}
