package servers_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/servers"
)

func library(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/library.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadOpenAPI(t *testing.T) {
	d, err := servers.ReadOpenAPI(library(t), nil)
	if err != nil || len(d.Rejected) > 0 {
		t.Fatal(err, d.Rejected)
	}
	s := d.Server
	if s.Name != "city-library" || s.Title != "City Library" || !slices.Equal(s.Tags, []string{"books", "loans", "search"}) || len(s.Tools) != 3 {
		t.Errorf("%+v", s)
	}
	const book = `{"properties":{"author":{"$ref":"#/$defs/Author"},"id":{"type":"string"}},"required":["id"],"type":"object"}`
	const author = `{"properties":{"books":{"items":{"$ref":"#/$defs/Book"},"type":"array"},"name":{"type":"string"}},"type":"object"}`
	for name, want := range map[string][2]string{
		"searchBooks": {
			`{"$defs":{"Status":{"enum":["on_shelf","lent",null],"type":["string","null"]}},"properties":{` +
				`"filter_status":{"$ref":"#/$defs/Status","description":"Only books in this state"},` +
				`"page":{"description":"Which page","exclusiveMinimum":0,"type":"integer"},"q":{"type":"string"}},"required":["q"],"type":"object"}`,
			`{"$defs":{"Author":` + author + `,"Book":` + book + `},"items":{"$ref":"#/$defs/Book"},"type":"array"}`},
		"post_books_book_id_loans": {
			`{"properties":{"book_id":{"type":"string"},"reader":{"type":"string"},"until":{"format":"date","type":"string"}},"required":["book_id","reader"],"type":"object"}`,
			`{"$defs":{"Loan":{"properties":{"id":{"type":"string"},"reader":{"type":"string"},"until":{"format":"date","type":"string"}},"required":["id","reader"],"type":"object"}},"$ref":"#/$defs/Loan"}`},
		"replace_book": {
			`{"$defs":{"Author":` + author + `,"Book":` + book + `},"properties":{"body":{"allOf":[{"$ref":"#/$defs/Book"}]},"id":{"type":"string"},"id_query":{"type":"string"}},"required":["body","id"],"type":"object"}`, ""},
	} {
		tool := s.Tool(name)
		if tool == nil {
			t.Errorf("no %s", name)
			continue
		}
		if string(tool.Input) != want[0] {
			t.Errorf("%s takes\n%s, want\n%s", name, tool.Input, want[0])
		}
		if string(tool.Output) != want[1] {
			t.Errorf("%s returns\n%s, want\n%s", name, tool.Output, want[1])
		}
	}
	search, lend := s.Tool("searchBooks"), s.Tool("post_books_book_id_loans")
	if search.Description != "Search the catalogue by words of title and author." || !search.Annotations.ReadOnly || lend.Annotations.ReadOnly || lend.Original != "POST /books/{book-id}/loans" {
		t.Errorf("%+v, %+v", search, lend)
	}
	if kept, out := servers.Filter([]servers.Server{s}, nil); len(kept) != 1 || len(out) != 0 {
		t.Errorf("rejected %v", out)
	}
}

// 3.1 is JSON Schema itself: its own null, its bounds, keywords beside a reference.
func TestReadOpenAPI31(t *testing.T) {
	d, err := servers.ReadOpenAPI([]byte(`{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/x":{"get":{"operationId":"x","parameters":[
		{"name":"n","in":"query","schema":{"type":["integer","null"],"exclusiveMinimum":3}},
		{"name":"m","in":"query","schema":{"$ref":"#/components/schemas/M","maxLength":2}},
		{"name":"o","in":"query","schema":true}]}}},"components":{"schemas":{"M":{"type":"string","maxLength":3}}}}`), nil)
	if err != nil || len(d.Server.Tools) != 1 {
		t.Fatal(err, d)
	}
	got := string(d.Server.Tools[0].Input)
	for _, want := range []string{`"n":{"exclusiveMinimum":3,"type":["integer","null"]}`, `"m":{"$ref":"#/$defs/M"}`, `"o":true`, `"allOf":[{"maxLength":2}]`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestReadOpenAPIRefuses(t *testing.T) {
	const head = `{"openapi":"3.0.0","info":{"title":"T","version":"1"},"paths":`
	for text, want := range map[string]string{
		`swagger: "2.0"`:             "convert Swagger 2 first",
		`[]`:                         "no OpenAPI",
		`{`:                          "no OpenAPI",
		strings.Repeat("[", 100_000): "no OpenAPI",
		strings.Repeat("x", 17<<20):  "take a part of it",
		head + `{"/a":{"get":{"parameters":[{"$ref":"/etc/passwd"}]}}}}`:                                                                            "leads out of the document",
		head + `{"/a":{"get":{"parameters":[{"$ref":"https://example.com/x.json#/a"}]}}}}`:                                                          "leads out of the document",
		head + `{"/a":{"get":{"parameters":[{"$ref":"#/components/parameters/None"}]}}}}`:                                                           "no OpenAPI document",
		head + `{"/a":{"get":{"parameters":[{"name":"a","in":"query","schema":{"$ref":"file:///etc/passwd"}}]}}}}`:                                  "leads out of the document",
		head + `{"/a":{"get":{}}},"components":{"schemas":{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}}},"x-a":[]}`: "",
	} {
		d, err := servers.ReadOpenAPI([]byte(text), nil)
		if want == "" {
			continue // whatever it says, it says it soon
		}
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("%.80s: %v, %+v", text, err, d)
		}
	}
}

// What all schemas refer to is in each tool once; what is too large is told, or left out.
func TestReadOpenAPIBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.0.0","info":{"title":"T","version":"1"},"components":{"schemas":{"S0":{"type":"string"}`)
	for i := range 40 { // doubles at each level, if it were written out
		n, next := string(rune('A'+i%26))+string(rune('a'+i/26)), string(rune('A'+(i+1)%26))+string(rune('a'+(i+1)/26))
		b.WriteString(`,"` + n + `":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/` + next + `"},"b":{"$ref":"#/components/schemas/` + next + `"}}}`)
	}
	b.WriteString(`,"Oa":{"type":"string"},"Ob":{"type":"string"},"Large":{"type":"string","description":"` + strings.Repeat("x", 70<<10) + `"}}},"paths":{` +
		`"/a":{"get":{"operationId":"deep","parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/Aa"}}],"responses":{"200":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Large"}}}}}}},` +
		`"/b":{"get":{"operationId":"large","parameters":[{"name":"a","in":"query","schema":{"$ref":"#/components/schemas/Large"}}]}}}}`)
	d, err := servers.ReadOpenAPI([]byte(b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	deep := d.Server.Tool("deep")
	if deep == nil || len(deep.Input) > 8<<10 || deep.Output != nil {
		t.Errorf("%.200v", deep)
	}
	if d.Server.Tool("large") != nil || len(d.Rejected) != 1 || d.Rejected[0].Reason != servers.NotConvertible {
		t.Errorf("%v", d.Rejected)
	}
}

func FuzzReadOpenAPI(f *testing.F) {
	f.Add(library(f))
	f.Add([]byte(`{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/x":{"get":{"parameters":[{"name":"n","in":"query","schema":{"$ref":"#/components/schemas/M","type":["null"]}}]}}},"components":{"schemas":{"M":{"items":{"$ref":"#/components/schemas/M"}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := servers.ReadOpenAPI(b, nil); err == nil {
			readsBack(t, []servers.Server{d.Server})
		}
	})
}
