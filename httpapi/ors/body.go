package ors

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/httpapi/harness"
)

// maxBody bounds a request, in bytes: the arguments of a call, which may have 256 KiB, with
// room for escapes.
const maxBody = 2 << 20

// read reads a request's body, an object that has no members but those named, into v. Members
// that are null are taken for absent.
func read(r *http.Request, v any, names ...string) error {
	b, err := harness.ReadBody(r, maxBody)
	if err != nil {
		return err
	}
	return parse(b, v, names)
}

func parse(body []byte, v any, names []string) error {
	body = harness.FromPython(body)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return harness.Refuse(http.StatusUnprocessableEntity, "the body must be a JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			return harness.Refuse(http.StatusUnprocessableEntity, "body.%.100q: extra inputs are not permitted; there are %s", name, strings.Join(names, ", "))
		}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return harness.Refuse(http.StatusUnprocessableEntity, "the body is not as it should be: %.200s", err)
	}
	return nil
}
