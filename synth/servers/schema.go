package servers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/astra-arenas/astra/synth"
)

// maxDepth is how deep a schema may nest; an arena takes half.
const maxDepth = 64

const noArguments = `{"type":"object","properties":{}}`

// inputOf is the schema of a tool's arguments in the one form. Documents leave out what goes
// without saying: a tool without a schema takes none, and arguments are an object. Some have
// the schema as text.
func inputOf(raw json.RawMessage) (json.RawMessage, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage(noArguments), nil
	}
	schema, err := schemaOf(raw)
	if err != nil {
		return nil, err
	}
	var top struct{ Type json.RawMessage }
	switch err := json.Unmarshal(schema, &top); {
	case err != nil:
		return nil, errors.New("it is no object")
	case string(schema) == "{}":
		return json.RawMessage(noArguments), nil
	case top.Type == nil:
		schema = append(schema[:len(schema)-1], `,"type":"object"}`...)
	}
	return schema, nil
}

// schemaOf is a schema in the one form: compact, keys in their order and each once, text
// without escapes that it does not need (YAML, which arenas are written in, knows no halves
// of a character), and without its dialect: arenas have one, and refuse what is not of it.
func schemaOf(raw json.RawMessage) (json.RawMessage, error) {
	t := &tidier{in: json.NewDecoder(bytes.NewReader(raw))}
	t.in.UseNumber()
	if err := t.value(0); err != nil {
		return nil, err
	}
	if _, err := t.in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the schema")
	}
	return t.out.Bytes(), nil
}

// A tidier writes JSON again, token by token: a map would lose the author's order.
type tidier struct {
	in  *json.Decoder
	out bytes.Buffer
}

func (t *tidier) value(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it nests deeper than %d", maxDepth)
	}
	token, err := t.in.Token()
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case token == json.Delim('{'):
		return t.object(depth + 1)
	case token == json.Delim('['):
		return t.list(depth + 1)
	}
	return t.scalar(token)
}

func (t *tidier) list(depth int) error {
	t.out.WriteByte('[')
	for first := true; t.in.More(); first = false {
		if !first {
			t.out.WriteByte(',')
		}
		if err := t.value(depth); err != nil {
			return err
		}
	}
	t.out.WriteByte(']')
	_, err := t.in.Token()
	return err
}

func (t *tidier) object(depth int) error {
	t.out.WriteByte('{')
	seen := map[string]bool{}
	for first := true; t.in.More(); {
		token, err := t.in.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder takes no other key
		if seen[key] {
			return fmt.Errorf("the key %.60q comes twice", key)
		}
		if seen[key] = true; depth == 1 && key == "$schema" {
			if err := t.in.Decode(new(json.RawMessage)); err != nil {
				return err
			}
			continue
		}
		if !first {
			t.out.WriteByte(',')
		}
		if first = false; t.scalar(key) != nil {
			return errors.New("a key is no text")
		}
		t.out.WriteByte(':')
		if err := t.value(depth); err != nil {
			return err
		}
	}
	t.out.WriteByte('}')
	_, err := t.in.Token()
	return err
}

func (t *tidier) scalar(token json.Token) error {
	b, err := synth.JSON(token)
	t.out.Write(b)
	return err
}
