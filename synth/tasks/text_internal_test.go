package tasks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		text, name string
		want       bool
	}{
		{"please call find_item for it", "find_item", true},
		{"please call Find_Item for it", "find_item", true},
		{"please refind_items for it", "find_item", false},
		{"search for flights to Oslo", "search", false},
		{"use the search tool for it", "search", true},
		{"use `search` for it", "search", true},
		{"用 search 工具查一下", "search", true},
		{"getWeather in Oslo", "getWeather", true},
		{"what is the weather", "getWeather", false},
		{"send me get-sum of it", "get-sum", true},
		{"list pets that are ill", "list pets", false},
		{"ask the List pets tool", "List pets", true},
	} {
		if got := named(c.text, c.name) != ""; got != c.want {
			t.Errorf("named(%q, %q) = %v", c.text, c.name, got)
		}
	}
}

func TestCheckText(t *testing.T) {
	b := newBook([]servers.Server{{Name: "shop", Tools: []servers.Tool{{Name: "find_item", Original: "find-item"}}}})
	for text, want := range map[string]string{
		"How many bolts are left in the warehouse?": "",
		"Hi":                          "bytes",
		strings.Repeat("long ", 1000): "bytes",
		"仓库里还剩多少个螺栓？请告诉我。":                        "language",
		"Call find_item for the bolts, please.":   "find_item",
		"Call find-item for the bolts, please.":   "find-item",
		"   \n\t                                ": "bytes",
		"?????????????????":                       "no letters",
		"How many of the b\ufffdolts are left?":   "no letters",
		"How many of the b\x00olts are left?":     "no letters",
		"How many bolts\n\tare left in there?":    "",
	} {
		err := checkText(b, []string{"shop"}, synth.English, "question", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	for text, ok := range map[string]bool{
		"仓库里还剩多少个螺栓？请告诉我。":                                                   true,
		"帮我在 filesystem 里找 README.md 和 package-lock.json":                    true,
		"Please find the student 李明 and list all the courses that he takes.": false,
		"How many bolts are left in the warehouse?":                          false,
	} {
		if err := checkText(b, []string{"shop"}, synth.Chinese, "question", text); (err == nil) != ok {
			t.Errorf("%q in Chinese: %v", text, err)
		}
	}
}

func FuzzNamed(f *testing.F) {
	f.Add("use find_item()", "find_item")
	f.Add("\xff工具", "工具")
	f.Fuzz(func(t *testing.T, text, name string) {
		if found := named(text, name); found != "" && !strings.Contains(strings.ToLower(text), strings.ToLower(name)) {
			t.Errorf("named(%q, %q) = %q", text, name, found)
		}
	})
}

func TestOpenArguments(t *testing.T) {
	b := newBook([]servers.Server{{Name: "shop", Tools: []servers.Tool{
		{Name: "find", Input: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"},"kind":{"enum":["a"]},"all":{"type":"boolean"},"limit":{"type":"integer","default":5}},"required":["name","kind","all","limit"]}`)},
		{Name: "page", Input: json.RawMessage(`{"type":"object","properties":{"nextToken":{"type":"string"}},"required":["nextToken"]}`)},
		{Name: "free", Input: json.RawMessage(`{"type":"object"}`)},
		{Name: "odd", Input: json.RawMessage(`{"type":"object","required":"name"}`)},
	}}})
	node := func(names ...string) []graph.Node { return nodes("shop", names) }
	if all, why := openArguments(b, node("find", "page")); why != "" || len(all) != 2 || all[0] != (open{1, "name"}) || all[1] != (open{2, "nextToken"}) {
		t.Errorf("open = %v, %q", all, why)
	}
	if _, why := openArguments(b, node("page", "find")); !strings.Contains(why, "nextToken") {
		t.Errorf("a first call that needs a server's own value: %q", why)
	}
	if all, why := openArguments(b, node("free", "free")); why != "" || len(all) != 0 {
		t.Errorf("open = %v, %q", all, why)
	}
	if _, why := openArguments(b, node("odd")); why == "" {
		t.Error("a schema that cannot be read was passed over")
	}
}

func TestInternal(t *testing.T) {
	for name, want := range map[string]bool{"nextToken": true, "sessionID": true, "ETag": true, "eTag": true, "page-token": true, "requestId": true, "cursor": true,
		"metagenome": false, "precursor": false, "name": false} {
		if got := new(property).internal(name); got != want {
			t.Errorf("internal(%s) = %v", name, got)
		}
	}
}

// What is shown of tools is bounded, however many there are and whatever they say.
func TestShowTools(t *testing.T) {
	s := servers.Server{Name: "shop"}
	for i := range 1000 {
		s.Tools = append(s.Tools, servers.Tool{Name: fmt.Sprint("tool_", i), Description: strings.Repeat("long ", 200_000)})
	}
	b, err := json.Marshal(showTools(&s, true))
	if err != nil || len(b) > 256<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if one := showTools(&servers.Server{Tools: s.Tools[:1]}, true); len(one[0].Description) < mostOfText {
		t.Errorf("a single tool has %d bytes of its description", len(one[0].Description))
	}
}

func TestSourcing(t *testing.T) {
	wanted := []open{{1, "name"}, {2, "sku"}}
	for reply, want := range map[string]string{
		`{"arguments":[{"call":1,"argument":"name","source":"user"},{"call":2,"argument":"sku","source":"call","from":1}]}`: "",
		`{"arguments":[{"call":1,"argument":"name","source":"user"}]}`:                                                      "1 of 2",
		`{"arguments":[{"call":1,"argument":"name","source":"user"},{"call":1,"argument":"name","source":"user"}]}`:         "twice",
		`{"arguments":[{"call":1,"argument":"name","source":"user"},{"call":2,"argument":"sku","source":"call","from":2}]}`: "earlier",
		`{"arguments":[{"call":1,"argument":"name","source":"call"},{"call":2,"argument":"sku","source":"user"}]}`:          "earlier",
		`{"arguments":[{"call":1,"argument":"name","source":"anybody"},{"call":2,"argument":"sku","source":"user"}]}`:       "no source",
		`{"arguments":[{"call":1,"argument":"colour","source":"user"},{"call":2,"argument":"sku","source":"user"}]}`:        "not in",
	} {
		var s sourcing
		if err := json.Unmarshal([]byte(reply), &s); err != nil {
			t.Fatal(err)
		}
		err := s.check(wanted)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", reply, err, want)
		}
	}
}

func TestStaged(t *testing.T) {
	b := newBook([]servers.Server{{Name: "shop"}})
	for _, c := range []struct {
		kind  Kind
		reply string
		want  string
	}{
		{FollowUp, `{"first":"Find me the bolts, please.","goal":"bolts","next":["Order 200 of these, too."]}`, ""},
		{FollowUp, `{"first":"Find me the bolts, please.","goal":"bolts","next":[]}`, "next"},
		{Clarify, `{"first":"Order some of the bolts, please.","goal":"bolts","facts":[{"name":"how many","value":"200"}]}`, ""},
		{Clarify, `{"first":"Order 200 of the bolts, please.","goal":"bolts","facts":[{"name":"how many","value":"200"}]}`, "kept back"},
		{Clarify, `{"first":"Order some of the bolts, please.","goal":"bolts"}`, "facts"},
		{Clarify, `{"first":"Order some of the bolts, please.","goal":"bolts","facts":[{"name":"","value":"200"}]}`, "fact"},
		{Clarify, `{"first":"Order some of the bolts, please.","goal":"bolts","facts":[{"name":"how many","value":"200"},{"name":"how many","value":"300"}]}`, "twice"},
		{Change, `{"first":"Order some of the bolts, please.","goal":"bolts","next":["No, make it 300 of them."],"facts":[{"name":"a","value":"bb"}]}`, "facts"},
		{Decline, `{"first":"Delete all of the orders, please.","goal":"not allowed"}`, ""},
		{Decline, `{"first":"Delete all of the orders, please.","goal":" "}`, "goal"},
		{Decline, `{"first":"Delete.","goal":"not allowed"}`, "bytes"},
	} {
		var s staged
		if err := json.Unmarshal([]byte(c.reply), &s); err != nil {
			t.Fatal(err)
		}
		err := s.check(b, &Task{Kind: c.kind, Server: "shop", Language: synth.English})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %s: %v, want %q", c.kind, c.reply, err, c.want)
		}
	}
}

func TestReadPersonas(t *testing.T) {
	all, err := ReadPersonas(strings.NewReader("{\"age\":30,\"occupation\":\"baker\",\"hobbies\":\"x\"}\n\nA sailor of 60.\n"))
	if err != nil || len(all) != 2 || all[0].Occupation != "baker" || all[1].Description != "A sailor of 60." {
		t.Errorf("ReadPersonas = %v, %v", all, err)
	}
	for text, want := range map[string]string{"": "no persona", "{\"age\":": "line 1", "x\n{}\n": "line 2", "{\"age\":\"thirty\"}": "line 1"} {
		if _, err := ReadPersonas(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if n := len(somePersonas()); n < 10 {
		t.Errorf("%d personas of our own", n)
	}
}
