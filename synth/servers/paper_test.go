package servers_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/servers"
)

// read is what a fixture holds, and its errors.
func read(t *testing.T, name string) (all []servers.Document, errs []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range servers.ReadPaper(name, bytes.NewReader(b), nil) {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		all = append(all, d)
	}
	return all, errs
}

func TestReadPaper(t *testing.T) {
	all, errs := read(t, "mcp_servers.jsonl")
	if len(all) != 3 || errs != nil {
		t.Fatalf("%d servers, %v", len(all), errs)
	}
	ferry := all[0].Server
	if ferry.Name != "ferry-desk" || ferry.Title != "Ferry Desk" || ferry.Domain != "travel" || ferry.Language != "en" || ferry.Upstream != "" || all[0].Reach != nil {
		t.Errorf("%+v", ferry)
	}
	var names []string
	for _, tool := range ferry.Tools {
		names = append(names, tool.Name+"="+tool.Original)
	}
	if got := strings.Join(names, " "); got != "search_ferries=search-ferries book_seat= cancel_booking= ferry_desk_reset=reset" {
		t.Errorf("tools are %s", got)
	}
	if got := string(ferry.Tool("search_ferries").Input); strings.Contains(got, "$schema") || !strings.HasPrefix(got, `{"type":"object","properties":{"from":`) {
		t.Errorf("a schema is %s", got)
	}
	if got := string(ferry.Tool("cancel_booking").Input); !strings.HasSuffix(got, `,"type":"object"}`) {
		t.Errorf("a schema without a type is %s", got)
	}
	if metro := all[2].Server; metro.Language != "zh" || !strings.HasPrefix(metro.Name, "server-") || metro.Upstream != metro.Name {
		t.Errorf("%+v", metro)
	}
}

// What reaches a server has no secret in it, and says what to set.
func TestReach(t *testing.T) {
	all, _ := read(t, "mcp_servers.jsonl")
	w := all[1].Reach
	if w.URL != "https://weather.example.com/mcp?api_key=${WEATHER_STATION__API_KEY}&${WEATHER_STATION__QUERY}" ||
		w.Headers["Authorization"] != "Bearer ${WEATHER_STATION__AUTHORIZATION}" || w.Headers["X-Team"] != "${WEATHER_STATION__X_TEAM}" || len(w.Variables) != 4 {
		t.Errorf("%+v", w)
	}
	m := all[2].Reach
	name := strings.ToUpper(strings.ReplaceAll(all[2].Server.Name, "-", "_"))
	if want := "https://server.example.ai/@metro/helper/mcp?config=${" + name + "__CONFIG}&api_key=${SMITHERY_API_KEY}&profile=${SMITHERY_PROFILE}"; m.URL != want {
		t.Errorf("%s, want %s", m.URL, want)
	}
	text := fmt.Sprintf("%+v", all)
	for _, secret := range []string{"k-3141592653", "tok-2718281828", "blue", "units", "secret-town"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is kept", secret)
		}
	}
}

func TestReachRefuses(t *testing.T) {
	for call, want := range map[string]string{
		`{"url":"ftp://example.com/x"}`:                                 "none of a web server",
		`{"url":"https://example.com/${HOME}/mcp"}`:                     "placeholder is in its path",
		`{"url":"https://example.com/mcp?a=${HOME}"}`:                   "it has a ${",
		`{"url":"https://${HOME}.example.com/mcp"}`:                     "none of a web server",
		`{"url":"https://e.example/mcp","headers":{"a: b\r\nc":"x"}}`:   "cannot be sent",
		`{"python_sdk_url":"https://e.example/{smithery_api_key}/mcp"}`: "placeholder is in its path",
		`{"mock_tool":true,"url":"ftp://example.com"}`:                  "",
		`{}`:   "",
		`null`: "",
	} {
		d := one(t, `{"base_info":{"group_info":{"server_name":"s"},"tool_list":[{"name":"a"}]},"call_info":`+call+`}`)
		got := ""
		for _, r := range d.Rejected {
			got += r.Reason + " " + r.Detail
		}
		if d.Reach != nil || d.Server.Upstream != "" || len(d.Server.Tools) != 1 || !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %+v", call, d)
		}
	}
	d := one(t, `{"base_info":{"group_info":{"server_name":"s"}},"call_info":{"url":"https://user:pass@example.com/api/0123456789abcdef/mcp#x"}}`)
	if d.Reach == nil || d.Reach.URL != "https://${S__USER}@example.com/api/${S__PATH}/mcp" {
		t.Errorf("%+v", d.Reach)
	}
	d = one(t, `{"base_info":{"group_info":{"server_name":"s"}},"call_info":{"python_sdk_url":"https://e.example/mcp?config={config_b64}&profile=x","python_sdk_config":{}}}`)
	if d.Reach == nil || d.Reach.URL != "https://e.example/mcp?config=e30%3D&profile=${S__PROFILE}" {
		t.Errorf("%+v", d.Reach)
	}
}

// one is the only server of a row.
func one(t *testing.T, row string) servers.Document {
	t.Helper()
	for d, err := range servers.ReadPaper("f", strings.NewReader(row), nil) {
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Fatal("no row")
	return servers.Document{}
}

func TestReadStages(t *testing.T) {
	all, errs := read(t, "2_parsed_output.jsonl")
	want := []string{"2_parsed_output.jsonl:4: base_info.group_info has no server_name", "2_parsed_output.jsonl:5: there is no base_info", "2_parsed_output.jsonl:6: no JSON"}
	if len(all) != 3 || len(errs) != len(want) {
		t.Fatalf("%d servers, %q", len(all), errs)
	}
	for i := range want {
		if !strings.HasPrefix(errs[i], want[i]) {
			t.Errorf("%s, want %s", errs[i], want[i])
		}
	}
	if got := all[0].Server.Chains; len(got) != 1 || !slices.Equal(got[0], []string{"search_ferries", "teleport", "book_seat"}) {
		t.Errorf("chains %v", got)
	}
	if r := all[0].Rejected; len(r) != 1 || r[0].Reason != servers.Unreadable || !strings.Contains(r[0].Detail, "graph_detect[2]") {
		t.Errorf("rejected %v", r)
	}
	if d := all[1]; len(d.Server.Tools) != 1 || len(d.Rejected) != 1 || d.Rejected[0].Tool != "two" || !strings.Contains(d.Rejected[0].Detail, "comes twice") {
		t.Errorf("%+v", d)
	}
	if got := fmt.Sprint(all[2].Server.Chains); got != "[[a b] [a b a]]" {
		t.Errorf("chains of an older file: %s", got)
	}
}

// A stage file repeats its server for each chain; another of the same name is another.
func TestReadPaperRepeats(t *testing.T) {
	row := `{"base_info":{"group_info":{"server_name":"s"},"tool_list":[{"name":"a"}]}}` + "\n"
	other := strings.Replace(row, `"a"`, `"b"`, 1)
	var names []string
	for d, err := range servers.ReadPaper("f", strings.NewReader(row+other+row), nil) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, d.Server.Name)
	}
	if !slices.Equal(names, []string{"s", "s-2"}) {
		t.Errorf("%v", names)
	}
}

func TestNames(t *testing.T) {
	var names servers.Names
	for called, want := range map[string]string{"GitHub Issues": "github-issues", "7-zip": "server-7-zip", "--": "server-cf7ef14a", strings.Repeat("a", 80): strings.Repeat("a", 64)} {
		if got := names.Take(called); want != "server-cf7ef14a" && got != want {
			t.Errorf("%s is %s, want %s", called, got, want)
		}
	}
	if got := names.Take("github issues"); got != "github-issues-2" {
		t.Errorf("the next is %s", got)
	}
	if got := names.Take(strings.Repeat("a", 90)); got != strings.Repeat("a", 62)+"-2" {
		t.Errorf("the next long one is %s", got)
	}
	if a, b := names.Take("地铁"), names.Take("天气"); a == b || strings.HasSuffix(b, "-2") {
		t.Errorf("%s and %s", a, b)
	}
}

func FuzzReadPaper(f *testing.F) {
	for _, name := range []string{"mcp_servers.jsonl", "2_parsed_output.jsonl"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []servers.Server
		for d, err := range servers.ReadPaper("f", bytes.NewReader(b), nil) {
			if err == nil {
				all = append(all, d.Server)
			}
		}
		readsBack(t, all)
	})
}

// readsBack holds what Filter lets pass to what it promises: it can be written and read.
func readsBack(t *testing.T, all []servers.Server) {
	t.Helper()
	kept, _ := servers.Filter(all, &servers.Options{MinTools: 1})
	var b bytes.Buffer
	if err := servers.Write(&b, kept); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	again, err := servers.Read(&b)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if err := servers.Write(&b, again); err != nil || b.String() != text {
		t.Errorf("%v: %s became %s", err, text, b.String())
	}
}
