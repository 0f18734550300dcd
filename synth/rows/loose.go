package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// An id is a number or text that names a sub-question; 1, 1.0 and "1" name the same.
type id string

func (i *id) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil && b[0] == '"' {
		*i = id(strings.TrimSpace(text))
		return nil
	}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || n != float64(int64(n)) {
		return fmt.Errorf("%.40s is no id: write a whole number or text", b)
	}
	*i = id(strconv.FormatInt(int64(n), 10))
	return nil
}

// MarshalJSON writes ids as the paper does, as numbers, where they are.
func (i id) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(string(i), 10, 53); err == nil && strconv.FormatInt(n, 10) == string(i) {
		return []byte(i), nil
	}
	return json.Marshal(string(i))
}

// ids are the parents of a sub-question, which files give as null, [], 1, [1, 2], "null",
// "None", "1" or "[1, 2]".
type ids []id

func (all *ids) UnmarshalJSON(b []byte) error {
	*all = nil
	var text string
	if b[0] == '"' && json.Unmarshal(b, &text) == nil {
		return all.fromText(text)
	}
	if b[0] != '[' {
		return all.one(b)
	}
	var list []id
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, one := range list {
		if one != "" {
			*all = append(*all, one)
		}
	}
	return nil
}

// MarshalJSON writes what depends on nothing as null.
func (all ids) MarshalJSON() ([]byte, error) {
	if len(all) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal([]id(all))
}

func (all *ids) fromText(text string) error {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "null") || strings.EqualFold(text, "none") || text == "" {
		return nil
	}
	if strings.HasPrefix(text, "[") != strings.HasSuffix(text, "]") {
		return fmt.Errorf("the dependency %.40q has one bracket", text)
	}
	for part := range strings.SplitSeq(strings.Trim(text, "[]"), ",") {
		if part = strings.Trim(part, ` '"`); part != "" {
			*all = append(*all, id(part))
		}
	}
	return nil
}

func (all *ids) one(b []byte) error {
	var one id
	if err := one.UnmarshalJSON(b); err != nil {
		return fmt.Errorf("the dependency %w", err)
	}
	if one != "" {
		*all = ids{one}
	}
	return nil
}

// A flag is true or false, in whatever case, or in quotes.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		*f = true
	case "false":
		*f = false
	case "null":
	default:
		return fmt.Errorf("%.40s is neither true nor false", b)
	}
	return nil
}

// A count is a whole number, in quotes or not.
type count int

func (c *count) UnmarshalJSON(b []byte) error {
	var one id
	if err := one.UnmarshalJSON(b); err != nil {
		return err
	}
	if one == "" {
		return nil
	}
	n, err := strconv.Atoi(string(one))
	if err != nil {
		return fmt.Errorf("%.40s is no whole number", b)
	}
	*c = count(n)
	return nil
}

// compact is JSON as it is without white space; what is not there is null.
func compact(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
