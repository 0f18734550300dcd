package astra

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What a schema may hold.
const (
	maxSchemaBytes = 64 << 10
	maxSchemaDepth = 32
)

// A Schema is a compiled JSON Schema, draft 2020-12. It is safe for concurrent use.
type Schema struct {
	root *jsonschema.Schema
}

// nowhere is the loader of schemas: the library's own would follow file:// and be a way to read the host's files.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, errors.New("schemas load nothing from outside: refer to #/$defs only")
}

// schemaURL is where a schema pretends to be; references are resolved against it.
const schemaURL = "astra:schema"

func compileSchema(raw json.RawMessage) (*Schema, error) {
	if len(raw) > maxSchemaBytes {
		return nil, fmt.Errorf("%d bytes; a schema may have %d", len(raw), maxSchemaBytes)
	}
	v, err := parseJSON(raw, maxSchemaDepth)
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	if err := c.AddResource(schemaURL, v.any()); err != nil {
		return nil, err
	}
	root, err := c.Compile(schemaURL)
	if err != nil {
		return nil, err
	}
	return &Schema{root: root}, nil
}

// compileInput compiles the schema of a tool's arguments, whose names must be identifiers.
func compileInput(raw json.RawMessage) (*Schema, error) {
	s, err := compileSchema(raw)
	if err != nil {
		return nil, err
	}
	v, err := parseJSON(raw, maxSchemaDepth)
	if err != nil {
		return nil, err
	}
	if t := v.child("type"); t == nil || t.kind != textKind || t.text != "object" {
		return nil, errors.New(`"type" must be "object": a tool is called with one object of arguments`)
	}
	properties := v.child("properties")
	if properties == nil {
		return s, nil
	}
	for _, name := range properties.keys {
		if !plainName(name) {
			return nil, fmt.Errorf("%s is no argument's name: use letters, digits and _, not a digit first, at most 64 in all", clip(name))
		}
		if name == "episode_id" {
			return nil, errors.New("the argument episode_id is reserved: explorers name their episode with it")
		}
	}
	return s, nil
}

// CheckArgs holds arguments to the tool's input schema. The error is for the agent to
// read: it names the argument and what was expected.
func (t *Tool) CheckArgs(args json.RawMessage) error {
	v, err := parseJSON(args, cmpDepth(t.depth))
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	if v.kind != objectKind {
		return fmt.Errorf("arguments: must be an object, not %s", v.kind)
	}
	return t.in.check(v)
}

// CheckResult holds a value to the tool's output schema, if there is one.
func (t *Tool) CheckResult(value json.RawMessage) error {
	v, err := parseJSON(value, cmpDepth(t.depth))
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return t.out.check(v)
}

func cmpDepth(depth int) int {
	if depth == 0 {
		return DefaultLimits.Depth
	}
	return depth
}

func (s *Schema) check(v *value) error {
	if s == nil {
		return nil
	}
	err := s.root.Validate(v.any())
	var bad *jsonschema.ValidationError
	if errors.As(err, &bad) {
		var msgs []string
		for _, u := range bad.BasicOutput().Errors {
			msgs = append(msgs, fmt.Sprintf("%s: %s", u.InstanceLocation, u.Error))
		}
		slices.Sort(msgs)
		return errors.New(clip(fmt.Sprint(msgs)))
	}
	return err
}
