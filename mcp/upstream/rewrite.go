package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// rewrite returns a JSON value in the form that is kept: compact, valid UTF-8, keys in
// their order and each once, with every text passed through clean.
func rewrite(raw json.RawMessage, depth int, clean func(string) string) (json.RawMessage, error) {
	w := &rewriter{in: json.NewDecoder(bytes.NewReader(raw)), depth: depth, clean: clean}
	w.in.UseNumber()
	if err := w.value(0); err != nil {
		return nil, err
	}
	if _, err := w.in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the value")
	}
	return w.out.Bytes(), nil
}

// schemaOf is a schema without its dialect: servers name older drafts, and an arena's
// schemas are all of one.
func schemaOf(raw json.RawMessage) (json.RawMessage, error) {
	if raw == nil {
		return nil, nil
	}
	w := &rewriter{in: json.NewDecoder(bytes.NewReader(raw)), depth: maxDeep, clean: func(s string) string { return s }, without: "$schema"}
	w.in.UseNumber()
	err := w.value(0)
	return w.out.Bytes(), err
}

var errTooDeep = errors.New("nested too deep")

type rewriter struct {
	in    *json.Decoder
	out   bytes.Buffer
	depth int
	clean func(string) string

	without string // this key of the outermost object is left out
}

func (w *rewriter) value(level int) error {
	token, err := w.in.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if level >= w.depth {
			return errTooDeep
		}
		w.out.WriteByte(byte(v))
		if v == '[' {
			err = w.list(level + 1)
		} else {
			err = w.object(level + 1)
		}
		return err
	case string:
		w.text(w.clean(v))
	case json.Number:
		return w.number(v.String())
	case bool:
		w.out.WriteString(strconv.FormatBool(v))
	case nil:
		w.out.WriteString("null")
	}
	return nil
}

func (w *rewriter) list(level int) error {
	for first := true; w.in.More(); first = false {
		if !first {
			w.out.WriteByte(',')
		}
		if err := w.value(level); err != nil {
			return err
		}
	}
	return w.end(']')
}

func (w *rewriter) object(level int) error {
	seen := map[string]bool{}
	for w.in.More() {
		token, err := w.in.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder takes no other key
		if key = w.clean(key); seen[key] {
			return fmt.Errorf("the key %.60q comes twice", key)
		}
		if level == 1 && w.without != "" && key == w.without {
			if err := w.in.Decode(new(json.RawMessage)); err != nil {
				return err
			}
			continue
		}
		if len(seen) > 0 {
			w.out.WriteByte(',')
		}
		seen[key] = true
		w.text(key)
		w.out.WriteByte(':')
		if err := w.value(level); err != nil {
			return err
		}
	}
	return w.end('}')
}

func (w *rewriter) end(bracket byte) error {
	_, err := w.in.Token()
	w.out.WriteByte(bracket)
	return err
}

func (w *rewriter) text(s string) {
	e := json.NewEncoder(&w.out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	w.out.Truncate(w.out.Len() - 1)
}

// number keeps a number as it is written, unless it is a secret.
func (w *rewriter) number(digits string) error {
	if clean := w.clean(digits); clean != digits {
		w.text(clean)
		return nil
	}
	if _, err := strconv.ParseFloat(digits, 64); err != nil {
		return fmt.Errorf("%.60s is beyond a double", digits)
	}
	w.out.WriteString(digits)
	return nil
}
