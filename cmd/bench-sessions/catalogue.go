package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A catalogue is what sessions search, and knows what each search must find.
type catalogue struct {
	items []item
	wants map[string][]string // by query: SKUs
}

type item struct{ SKU, Name, Category string }

// A finding is what find_items answers.
type finding struct {
	Total int
	Items []item
}

func loadCatalogue(data string) (*catalogue, error) {
	b, err := os.ReadFile(filepath.Join(data, "items.json"))
	if err != nil {
		return nil, err
	}
	c := &catalogue{wants: map[string][]string{}}
	if err := json.Unmarshal(b, &c.items); err != nil {
		return nil, err
	}
	if len(c.items) == 0 {
		return nil, fmt.Errorf("%s has no items", data)
	}
	for _, it := range c.items {
		c.wants[it.Name] = c.search(it.Name)
	}
	return c, nil
}

// query is the i-th of all searches: an item's name.
func (c *catalogue) query(i int) string { return c.items[i%len(c.items)].Name }

var notInWords = regexp.MustCompile(`[^a-z0-9.]+`)

// search says find_items once more, so that an answer is held against something.
func (c *catalogue) search(query string) (skus []string) {
	words := notInWords.Split(strings.ToLower(query), -1)
	for _, it := range c.items {
		text := strings.ToLower(it.SKU + " " + it.Name + " " + it.Category)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			skus = append(skus, it.SKU)
		}
	}
	return skus
}

// check holds what a session was told against what is right.
func (c *catalogue) check(query string, got *finding) error {
	var skus []string
	for _, it := range got.Items {
		skus = append(skus, it.SKU)
	}
	if want := c.wants[query]; got.Total != len(want) || !slices.Equal(skus, want) {
		return fmt.Errorf("wrong answer")
	}
	return nil
}
