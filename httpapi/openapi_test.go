package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/astra-arenas/astra/httpapi"
)

// A spec is the served OpenAPI document, ready to hold replies to it.
type spec struct {
	doc      map[string]any
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

const specURL = "astra:openapi"

// theSpec reads the document as any client would; it depends on nothing but the routes.
var theSpec = sync.OnceValues(func() (*spec, error) {
	h, err := httpapi.New(nil, &httpapi.Options{Token: token})
	if err != nil {
		return nil, err
	}
	r, w := httptest.NewRequest("GET", "http://localhost/openapi.json", nil), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+token)
	h.ServeHTTP(w, r)
	doc, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		return nil, err
	}
	s := &spec{doc: doc.(map[string]any), compiler: jsonschema.NewCompiler()}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	return s, s.compiler.AddResource(specURL, doc)
})

// at walks the document along a JSON Pointer's tokens; nil if there is nothing.
func (s *spec) at(tokens ...string) any {
	var v any = s.doc
	for _, t := range tokens {
		m, _ := v.(map[string]any)
		v = m[t]
	}
	return v
}

func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return specURL + "#" + b.String()
}

func (s *spec) compile(tokens ...string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compiler.Compile(pointer(tokens...))
}

// template finds the path of the document that a request's path is of.
func (s *spec) template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	best := ""
	for tmpl := range s.at("paths").(map[string]any) {
		a, b := strings.Split(tmpl, "/"), strings.Split(path, "/")
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = a[i] == b[i] || strings.HasPrefix(a[i], "{") && b[i] != ""
		}
		if same && strings.Count(tmpl, "{") <= strings.Count(best+"{{{{", "{") {
			best = tmpl
		}
	}
	return best
}

// check holds a reply to what the document says of it.
func (s *spec) check(t testing.TB, method, path string, r reply) {
	t.Helper()
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	tmpl, status := s.template(path), strconv.Itoa(r.StatusCode)
	where := []string{"paths", tmpl, strings.ToLower(method), "responses", status}
	switch {
	case r.StatusCode >= 400:
		where = []string{"components", "responses", "Problem"}
	case s.at(where...) == nil:
		t.Errorf("%s %s = %d, which is not documented", method, path, r.StatusCode)
		return
	case len(r.body) == 0:
		return
	}
	where = append(where, "content", kind, "schema")
	if s.at(where...) == nil {
		t.Errorf("%s %s = %d as %q, which is not documented", method, path, r.StatusCode, kind)
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	sch, err := s.compile(where...)
	must(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	must(t, err)
	if err := sch.Validate(v); err != nil {
		t.Errorf("%s %s: the reply is not as documented: %v\n%s", method, path, err, r.body)
	}
}

// TestOpenAPIHasTheRoutes compares the document with the router, both ways.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	s, err := theSpec()
	must(t, err)
	h, err := httpapi.New(nil, &httpapi.Options{Token: token})
	must(t, err)
	var routed, documented []string
	for _, r := range h.(*echo.Echo).Routes() {
		segments := strings.Split(r.Path, "/")
		for i, s := range segments {
			if strings.HasPrefix(s, ":") {
				segments[i] = "{" + s[1:] + "}"
			}
		}
		routed = append(routed, r.Method+" "+strings.Join(segments, "/"))
	}
	ids := map[string]bool{}
	for path, item := range s.at("paths").(map[string]any) {
		for method, op := range item.(map[string]any) {
			documented = append(documented, strings.ToUpper(method)+" "+path)
			id, _ := op.(map[string]any)["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s: operationId %q is missing or not its own", method, path, id)
			}
			ids[id] = true
			pathParameters(t, path, op)
		}
	}
	slices.Sort(routed)
	slices.Sort(documented)
	if !slices.Equal(routed, documented) {
		t.Errorf("routes:\n%s\ndocumented:\n%s", strings.Join(routed, "\n"), strings.Join(documented, "\n"))
	}
}

func pathParameters(t *testing.T, path string, op any) {
	t.Helper()
	params, _ := op.(map[string]any)["parameters"].([]any)
	n := 0
	for _, p := range params {
		if m := p.(map[string]any); m["in"] == "path" {
			n++
			if !strings.Contains(path, "{"+m["name"].(string)+"}") || m["required"] != true {
				t.Errorf("%s: parameter %v", path, m)
			}
		}
	}
	if n != strings.Count(path, "{") {
		t.Errorf("%s documents %d path parameters", path, n)
	}
}

// TestOpenAPISchemasCompile also finds $refs that lead nowhere.
func TestOpenAPISchemasCompile(t *testing.T) {
	s, err := theSpec()
	must(t, err)
	if s.at("openapi") != "3.1.0" {
		t.Errorf("openapi = %v", s.at("openapi"))
	}
	n := 0
	var walk func(v any, tokens []string)
	walk = func(v any, tokens []string) {
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				here := append(slices.Clone(tokens), k)
				if k == "schema" || len(tokens) == 2 && tokens[1] == "schemas" {
					if _, err := s.compile(here...); err != nil {
						t.Errorf("%s: %v", pointer(here...), err)
					}
					n++
				}
				walk(child, here)
			}
		}
	}
	walk(s.doc, nil)
	if n < 30 {
		t.Errorf("found only %d schemas", n)
	}
}

// What a request may say is documented too: a body that the door takes fits its schema.
func TestOpenAPIBodies(t *testing.T) {
	s, err := theSpec()
	must(t, err)
	for path, body := range map[string]string{
		"/v1/episodes":             `{"arena":"shop","task":"count","seed":3,"mode":"train","group":"g","policy":"p","principal":"me","ttl":60,"distractors":["geo/find"],"failures":{"rate":0.2,"kinds":["timeout","malformed"]}}`,
		"/v1/episodes/{id}/calls":  `{"tool":"stock","args":{"item":"nut"},"idempotency_key":"k"}`,
		"/v1/episodes/{id}/turns":  `{"reply":"yes"}`,
		"/v1/episodes/{id}/submit": `{"answer":[1],"messages":[]}`,
		"/v1/episodes/{id}/fork":   `{"at":1,"n":2,"group":"g","ttl":5,"principal":"me","keys":["0123456789abcdef0123456789abcdef","0123456789abcdef0123456789abcde0"]}`,
		"/v1/episodes/{id}/rewind": `{"step":1,"ttl":5,"principal":"me"}`,
		"/v1/episodes/{id}/abort":  `{"reason":"enough"}`,
		"/v1/keys/resolve":         `{"key":"00"}`,
		"/v1/batches/lease":        `{"wait":20}`,
		"/v1/batches/ack":          `{"lease":"l"}`,
		"/v1/batches/publish":      `{"version":3,"model":"m"}`,
		"/v1/batches/groups":       `{"group":"g"}`,
	} {
		sch, err := s.compile("paths", path, "post", "requestBody", "content", "application/json", "schema")
		must(t, err)
		var v map[string]any
		must(t, json.Unmarshal([]byte(body), &v))
		if err := sch.Validate(v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for name := range v { // and no member of it is missing in the document
			if !strings.Contains(mustJSON(t, s.at("components", "schemas", bodyNames[path])), `"`+name+`":`) {
				t.Errorf("%s: %s is not documented", path, name)
			}
		}
	}
}

var bodyNames = map[string]string{"/v1/episodes": "OpenBody", "/v1/episodes/{id}/calls": "CallBody", "/v1/episodes/{id}/turns": "TurnBody",
	"/v1/episodes/{id}/submit": "SubmitBody", "/v1/episodes/{id}/fork": "ForkBody", "/v1/episodes/{id}/rewind": "RewindBody", "/v1/episodes/{id}/abort": "AbortBody", "/v1/keys/resolve": "ResolveBody",
	"/v1/batches/lease": "LeaseBody", "/v1/batches/ack": "LeasedBody", "/v1/batches/publish": "PublishBody", "/v1/batches/groups": "GroupBody"}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}
