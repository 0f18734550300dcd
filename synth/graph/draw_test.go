package graph_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// desks are servers about things: each can be searched, read, made, changed, ended, reviewed
// and paid for, and some are made of others.
func desks(things ...string) []servers.Server {
	var all []servers.Server
	for i, thing := range things {
		id := thing + "_id"
		s := server(thing+"-desk",
			returns(tool("search_"+thing+"s", "Searches "+thing+"s by words.", "query"), `{"properties":{"`+thing+`s":{"type":"array","items":{"properties":{"id":{"type":"string"},"price":{"type":"number"}}}}}}`),
			tool("get_"+thing, "Reads one "+thing+".", id),
			tool("list_"+thing+"_reviews", "Lists what people say of one.", id),
			tool("update_"+thing, "Changes one.", id),
			tool("cancel_"+thing, "Ends one.", id),
			tool("create_"+thing+"_payment", "Pays for one.", id, "card_number"),
			tool("refund_payment", "Gives money back.", "payment_id"),
			tool("quote_"+thing, "Says what one costs.", id),
			tool("list_cards", "Lists the cards of who asks."),
			tool("help", "Explains how all of this works."),
		)
		s.Chains = [][]string{{"search_" + thing + "s", "get_" + thing, "create_" + thing + "_payment"}, {"search_" + thing + "s", "quote_" + thing, "update_" + thing, "get_" + thing}}
		if i > 0 {
			s.Tools = append(s.Tools, tool("link_"+things[i-1], "Links it.", things[i-1]+"_id", id))
		}
		all = append(all, s)
	}
	return all
}

var things = []string{"flight", "hotel", "order", "parcel", "ticket", "course", "vehicle", "loan", "room", "event"}

func drawn(things []string, across bool) *graph.Graph {
	g := graph.New(desks(things...), &graph.Options{Across: across})
	g.AddDocumented()
	g.AddTypes()
	return g
}

func TestDraw(t *testing.T) {
	for _, n := range []int{1, 4, 10} {
		for _, across := range []bool{false, true} {
			g := drawn(things[:n], across)
			svg := g.SVG()
			wellFormed(t, svg)
			legible(t, string(svg))
			if again := drawn(things[:n], across).SVG(); string(again) != string(svg) {
				t.Error("drawn twice it looks different")
			}
			if dir := os.Getenv("ASTRA_DRAW"); dir != "" { // to look at them
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%t.svg", len(g.Nodes()), across)), svg, 0o666); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

var boxes = regexp.MustCompile(`<rect class="node" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"`)

// legible holds a drawing to it that no two labels lie on each other and all are on the page.
func legible(t *testing.T, svg string) {
	t.Helper()
	var all [][4]float64
	for _, m := range boxes.FindAllStringSubmatch(svg, -1) {
		var b [4]float64
		for i := range b {
			b[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		all = append(all, b)
	}
	var w, h float64
	if _, err := fmt.Sscanf(svg[strings.Index(svg, "viewBox="):], `viewBox="0 0 %g %g"`, &w, &h); err != nil || len(all) == 0 {
		t.Fatal(err, len(all))
	}
	for i, a := range all {
		if a[0] < 0 || a[1] < 0 || a[0]+a[2] > w || a[1]+a[3] > h {
			t.Errorf("%v is not on the page of %g by %g", a, w, h)
		}
		for _, b := range all[:i] {
			if a[0] < b[0]+b[2] && b[0] < a[0]+a[2] && a[1] < b[1]+b[3] && b[1] < a[1]+a[3] {
				t.Errorf("%v lies on %v", a, b)
			}
		}
	}
}

// Names and descriptions are strangers'.
func TestDrawEscapes(t *testing.T) {
	s := server("s", tool("a", "</title><script>alert(1)</script>\x00\xff"), tool("b", `"]; x [label="`))
	s.Title = `<b>"T"\`
	g := graph.New([]servers.Server{s}, nil)
	g.AddChain(nodes("s", "a", "b"))
	wellFormed(t, g.SVG())
	for _, text := range []string{string(g.SVG()), string(g.Mermaid())} {
		if strings.Contains(text, "<script") || strings.Contains(text, "<b>") {
			t.Error(text)
		}
	}
	if dot := string(g.DOT()); !strings.Contains(dot, `label="<b>\"T\"\\ (s)"`) || !strings.Contains(dot, `tooltip="\"]; x [label=\""`) || !strings.Contains(dot, "n0 -> n1 [penwidth=1.2, weight=1") {
		t.Error(dot)
	}
	if m := string(g.Mermaid()); !strings.Contains(m, "n0 --> n1") || !strings.Contains(m, `s0["#60;b#62;#34;T#34;#92; #40;s#41;"]`) {
		t.Error(m)
	}
}

// What is too much to draw is bounded, and told.
func TestDrawLarge(t *testing.T) {
	g := complete(200)
	svg := string(g.SVG())
	wellFormed(t, []byte(svg))
	legible(t, svg)
	if n := strings.Count(svg, `<g class="e `); n != 2000 || !strings.Contains(svg, "200 tools, 39800 edges, the 2000 heaviest drawn") {
		t.Errorf("%d lines", n)
	}
	var tools []servers.Tool
	for i := range 1000 {
		tools = append(tools, tool(fmt.Sprintf("a_tool_with_a_name_that_is_long_%d", i), "Does."))
	}
	svg = string(graph.New([]servers.Server{server("s", tools...)}, nil).SVG())
	legible(t, svg)
	if !strings.Contains(svg, "and 880 more without edges") {
		t.Error("what is left out is not told")
	}
	wellFormed(t, graph.New(nil, nil).SVG())
	wellFormed(t, graph.New(nil, &graph.Options{Across: true}).SVG())
}
