package servers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/servers"
)

// of is a server of tools, written "name: description"; each takes one text argument.
func of(name string, tools ...string) servers.Server {
	s := servers.Server{Name: name, Language: "en"}
	for _, tool := range tools {
		id, says, _ := strings.Cut(tool, ": ")
		s.Tools = append(s.Tools, servers.Tool{Name: id, Description: says, Input: json.RawMessage(`{"type":"object","properties":{"` + id + `_of":{"type":"string"}}}`)})
	}
	return s
}

var good = []string{"find_ferry: Finds a ferry by its ports.", "book_seat: Books a seat on board.", "list_ports: Lists where ferries call."}

// rejected is what was left out, in words.
func rejected(out []servers.Rejection) []string {
	var all []string
	for _, r := range out {
		all = append(all, strings.TrimSuffix(r.Server+"/"+r.Tool, "/")+" "+r.Reason)
	}
	return all
}

func TestFilter(t *testing.T) {
	schema := func(s servers.Server, i int, input string) servers.Server {
		s.Tools[i].Input = json.RawMessage(input)
		return s
	}
	with := func(more ...string) []string { return append(slices.Clone(good), more...) }
	many := of("many")
	for i := range astra.MaxTools + 1 {
		many.Tools = append(many.Tools, of("x", fmt.Sprintf("tool_%d: Does what others do not.", i)).Tools...)
	}
	for name, tt := range map[string]struct {
		all  []servers.Server
		kept int // tools of the first; 0: it is left out
		out  []string
	}{
		"good":           {[]servers.Server{of("s", good...)}, 3, nil},
		"two tools":      {[]servers.Server{of("s", good[:2]...)}, 0, []string{"s too few tools"}},
		"says nothing":   {[]servers.Server{of("s", good[0], good[1], "x: ")}, 0, []string{"s/x says nothing", "s too few tools"}},
		"tool twice":     {[]servers.Server{of("s", with("find_ferry: Finds a ferry by its name.")...)}, 3, []string{"s/find_ferry duplicate"}},
		"reserved":       {[]servers.Server{of("s", with("episode_x: Opens what is closed.")...)}, 3, []string{"s/episode_x not convertible"}},
		"argument":       {[]servers.Server{schema(of("s", with("x: Counts what is left.")...), 3, `{"type":"object","properties":{"max-results":{}}}`)}, 3, []string{"s/x not convertible"}},
		"schema":         {[]servers.Server{schema(of("s", with("x: Counts what is left.")...), 3, `{"type":"object","properties":{"a":{"type":"text"}}}`)}, 3, []string{"s/x not convertible"}},
		"outside":        {[]servers.Server{schema(of("s", with("x: Counts what is left.")...), 3, `{"type":"object","properties":{"a":{"$ref":"https://example.com/s"}}}`)}, 3, []string{"s/x not convertible"}},
		"server's name":  {[]servers.Server{of("S", good...)}, 0, []string{"S not convertible"}},
		"too many":       {[]servers.Server{many}, 0, []string{"many not convertible"}},
		"same again":     {[]servers.Server{of("s", good...), of("s", good[2], good[0], good[1])}, 3, []string{"s duplicate"}},
		"other name":     {[]servers.Server{of("s", good...), of("t", good...)}, 3, []string{"t duplicate"}},
		"other schema":   {[]servers.Server{of("s", good...), schema(of("t", good...), 0, `{"type":"object"}`)}, 3, nil},
		"other, no name": {[]servers.Server{of("s", good...), schema(of("s", good...), 0, `{"type":"object"}`)}, 3, []string{"s name taken"}},
	} {
		t.Run(name, func(t *testing.T) {
			kept, out := servers.Filter(tt.all, nil)
			if got := rejected(out); !slices.Equal(got, tt.out) {
				t.Errorf("rejected %q %+v, want %q", got, out, tt.out)
			}
			if n := len(tt.all) - wholes(out); n != len(kept) {
				t.Errorf("%d servers are kept, want %d", len(kept), n)
			}
			if tt.kept > 0 && len(kept[0].Tools) != tt.kept {
				t.Errorf("%d tools are kept, want %d", len(kept[0].Tools), tt.kept)
			}
			if len(kept) > 0 {
				readsBack(t, kept)
			}
		})
	}
}

// wholes counts rejections of whole servers.
func wholes(out []servers.Rejection) (n int) {
	for _, r := range out {
		if r.Tool == "" {
			n++
		}
	}
	return n
}

func TestFilterDescriptions(t *testing.T) {
	for text, want := range map[string]bool{
		"":                             false,
		"TODO":                         false,
		"No description provided":      false,
		"Get user":                     false,
		"Gets the user.":               false,
		"This is a tool to get a user": false,
		"Get user by ID":               true,
		"Echoes back what it is given": true,
		"查询用户":                         true,
		"用户":                           false,
		"获取 user 的资料":                  true,
	} {
		kept, _ := servers.Filter([]servers.Server{of("s", "getUser: "+text)}, &servers.Options{MinTools: 1})
		if (len(kept) == 1) != want {
			t.Errorf("%q is kept: %v", text, !want)
		}
	}
}

// A duplicate's chains are those of the server that stays; the input is left alone.
func TestFilterChains(t *testing.T) {
	a, b := of("a", good...), of("b", good...)
	a.Chains, b.Chains = [][]string{{"x", "y"}}, [][]string{{"x", "y"}, {"y", "x"}}
	kept, _ := servers.Filter([]servers.Server{a, b}, nil)
	if len(kept) != 1 || fmt.Sprint(kept[0].Chains) != "[[x y] [y x]]" || len(a.Chains) != 1 {
		t.Errorf("%+v", kept)
	}
}

func TestRead(t *testing.T) {
	s := of("s", good...)
	s.Upstream, s.Tags, s.Chains = "s", []string{"<a>"}, [][]string{{"find_ferry", "book_seat"}}
	readsBack(t, []servers.Server{s, of("t", good[:2]...)})

	var b bytes.Buffer
	if err := servers.Write(&b, []servers.Server{s}); err != nil {
		t.Fatal(err)
	}
	line := b.String()
	for text, want := range map[string]string{
		line + line:                                               "servers.jsonl:2: the server s is that of line 1 already",
		strings.Replace(line, `"s"`, `"S"`, 1):                    "is none: it takes",
		strings.Replace(line, `"en"`, `"fr"`, 1):                  "write en or zh",
		strings.Replace(line, `"title"`, `"tilte"`, 1):            "unknown field",
		strings.Replace(line, "find_ferry", "mcp", 1):             "reserved",
		strings.Replace(line, "book_seat", "find_ferry", 1):       "comes twice",
		strings.Replace(line, `{"type":"object",`, `[],"x":{`, 1): "unknown field",
		"{": "no JSON",
	} {
		if _, err := servers.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := servers.Write(&b, []servers.Server{of("s", good...)}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := servers.Read(bytes.NewReader(b)); err == nil {
			readsBack(t, all)
		}
	})
}

func TestFromArena(t *testing.T) {
	b, err := astra.NewBundle([]astra.File{{Path: "arena.yaml", Data: []byte("name: shop\nversion: 1.0.0\ntitle: A shop\ndescription: Sells.\ndomain: trade\nruntime: emulated\ntools: [{name: sell, description: Sells one thing., input: {type: object}}]\n")}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := servers.FromArena(a)
	if s.Name != "shop" || s.Title != "A shop" || s.Domain != "trade" || s.Arena != a.Digest || s.Language != "en" || string(s.Tool("sell").Input) != `{"type":"object"}` {
		t.Errorf("%+v", s)
	}
	m := servers.FromTools("files", "Files", "", []astra.Tool{{Name: "read_file", Original: "read-file", Description: "读取一个文件的内容。", Upstream: "files", Input: json.RawMessage(`{"type":"object"}`)}})
	if m.Upstream != "files" || m.Language != "zh" || m.Tool("read_file").Original != "read-file" {
		t.Errorf("%+v", m)
	}
}
