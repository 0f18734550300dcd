package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// tool is one whose required arguments are "name:type" or "name", all of them text where no
// type is given.
func tool(name, says string, args ...string) servers.Tool {
	properties, required := map[string]any{}, []string{}
	for _, arg := range args {
		name, kind, typed := strings.Cut(arg, ":")
		if !typed {
			kind = "string"
		}
		properties[name], required = map[string]string{"type": kind}, append(required, name)
	}
	input, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required})
	if err != nil {
		panic(err)
	}
	return servers.Tool{Name: name, Description: says, Input: input}
}

func returns(t servers.Tool, output string) servers.Tool {
	t.Output = json.RawMessage(output)
	return t
}

func server(name string, tools ...servers.Tool) servers.Server {
	return servers.Server{Name: name, Title: name, Language: "en", Tools: tools}
}

// edges are a graph's, in words: "from>to weight".
func edges(g *graph.Graph) []string {
	var all []string
	nodes := g.Nodes()
	for _, e := range g.Edges() {
		all = append(all, fmt.Sprintf("%s>%s %d", nodes[e.From].Tool, nodes[e.To].Tool, e.Weight))
	}
	return all
}

func nodes(server string, tools ...string) []graph.Node {
	var all []graph.Node
	for _, tool := range tools {
		all = append(all, graph.Node{Server: server, Tool: tool})
	}
	return all
}

func TestAddChain(t *testing.T) {
	two := []servers.Server{server("s", tool("a", ""), tool("b", ""), tool("c", "")), server("t", tool("a", ""))}
	for name, tt := range map[string]struct {
		chain  []graph.Node
		edges  []string
		broken []string
	}{
		"chain":          {nodes("s", "a", "b", "c"), []string{"a>b 1", "b>c 1"}, nil},
		"counted":        {nodes("s", "a", "b", "a", "b"), []string{"a>b 2", "b>a 1"}, nil},
		"unknown":        {nodes("s", "a", "x", "b", "c"), []string{"b>c 1"}, []string{"s/x"}},
		"no bridge":      {nodes("s", "a", "x", "b"), nil, []string{"s/x"}},
		"self":           {nodes("s", "a", "a", "b"), []string{"a>b 1"}, nil},
		"another server": {append(nodes("s", "a", "b"), append(nodes("t", "a"), nodes("s", "c")...)...), []string{"a>b 1"}, []string{"t/a", "s/c"}},
		"none":           {nil, nil, nil},
	} {
		g := graph.New(two, nil)
		if broken := g.AddChain(tt.chain); !slices.Equal(broken, tt.broken) || !slices.Equal(edges(g), tt.edges) {
			t.Errorf("%s: broken by %v, edges %v", name, broken, edges(g))
		}
	}
	g := graph.New(two, &graph.Options{Across: true})
	if broken := g.AddChain(append(nodes("s", "a"), nodes("t", "a")...)); broken != nil || len(g.Edges()) != 1 {
		t.Errorf("across: broken by %v, edges %v", broken, g.Edges())
	}
	two[0].Chains = [][]string{{"a", "b"}, {"a", "x", "c"}}
	g = graph.New(two, nil)
	if broken := g.AddDocumented(); !slices.Equal(broken, []string{"s/x"}) || !slices.Equal(edges(g), []string{"a>b 1"}) {
		t.Errorf("documented: broken by %v, edges %v", broken, edges(g))
	}
}

func TestAddTypes(t *testing.T) {
	const order = `{"type":"object","properties":{"orders":{"type":"array","items":{"$ref":"#/$defs/O"}}},"$defs":{"O":{"type":"object","properties":{"id":{"type":"string"},"customer":{"type":"object","properties":{"id":{"type":"integer"}}},"status":{"type":"string"}}}}}`
	for name, tt := range map[string]struct {
		tools []servers.Tool
		edges []string
	}{
		"by a field":      {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_order", "Reads.", "order_id")}, []string{"search>get_order 1"}},
		"by a bare id":    {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_order", "Reads.", "id")}, []string{"search>get_order 1"}},
		"other type":      {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_order", "Reads.", "order_id:integer")}, nil},
		"nested object":   {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_customer", "Reads.", "customerId:integer")}, []string{"search>get_customer 1"}},
		"integer, number": {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_customer", "Reads.", "customer_id:number")}, []string{"search>get_customer 1"}},
		"general word":    {[]servers.Tool{returns(tool("search", "Looks."), order), tool("report", "Counts.", "status", "query", "limit")}, nil},
		"other thing":     {[]servers.Tool{returns(tool("search", "Looks."), order), tool("get_invoice", "Reads.", "invoice_id")}, nil},
		"a list of them":  {[]servers.Tool{returns(tool("search", "Looks."), order), {Name: "ship", Input: json.RawMessage(`{"type":"object","properties":{"order_ids":{"type":"array","items":{"type":"string"}}},"required":["order_ids"]}`)}}, []string{"search>ship 1"}},
		"optional":        {[]servers.Tool{returns(tool("search", "Looks."), order), {Name: "ship", Input: json.RawMessage(`{"type":"object","properties":{"order_id":{"type":"string"}}}`)}}, nil},
		"by its name":     {[]servers.Tool{tool("find_flights", "Looks.", "origin"), tool("book", "Books.", "flight_id")}, []string{"find_flights>book 1"}},
		"by both":         {[]servers.Tool{tool("list_accounts", "Lists."), tool("list_payees", "Lists."), tool("pay", "Pays.", "account_id", "payee_id")}, []string{"list_accounts>pay 1", "list_payees>pay 1"}},
		"two fields":      {[]servers.Tool{returns(tool("locate", "Locates.", "place"), `{"properties":{"latitude":{"type":"number"},"longitude":{"type":"number"}}}`), tool("forecast", "Tells.", "latitude:number", "longitude:number")}, []string{"locate>forecast 2"}},
		"by description":  {[]servers.Tool{tool("book_seat", "Books a seat. Returns the booking number and the price.", "ferry_id"), tool("cancel", "Cancels.", "booking_number")}, []string{"book_seat>cancel 1"}},
		"as it says":      {[]servers.Tool{tool("list_accounts", "Lists."), {Name: "pay", Input: json.RawMessage(`{"type":"object","properties":{"from":{"type":"string","description":"The account ID to pay from"}},"required":["from"]}`)}}, []string{"list_accounts>pay 1"}},
		"free text":       {[]servers.Tool{tool("list_accounts", "Lists."), {Name: "ask", Input: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"An account ID or a name"}},"required":["query"]}`)}}, nil},
		"brought along":   {[]servers.Tool{returns(servers.Tool{Name: "put", Input: json.RawMessage(`{"type":"object","properties":{"data":{"type":"object","properties":{"order_id":{"type":"string"}},"required":["order_id"]}},"required":["data"]}`)}, order), tool("cancel_order", "Cancels.", "order_id")}, nil},
		"passed through":  {[]servers.Tool{returns(tool("get_order", "Reads.", "order_id"), order), tool("cancel_order", "Cancels.", "order_id")}, nil},
		"a new name":      {[]servers.Tool{tool("list_users", "Lists."), tool("create_user", "Makes one.", "name"), tool("get_user", "Reads.", "name")}, []string{"list_users>get_user 1"}},
		"what it makes":   {[]servers.Tool{returns(tool("read_all", "Reads."), `{"properties":{"entities":{"type":"string"}}}`), tool("create_entities", "Makes some.", "entities"), tool("delete_entities", "Ends some.", "entities")}, []string{"read_all>delete_entities 1"}},
		"other format":    {[]servers.Tool{returns(tool("search", "Looks."), `{"properties":{"departure_time":{"type":"string","format":"date-time"}}}`), {Name: "wake", Input: json.RawMessage(`{"type":"object","properties":{"departure_time":{"type":"string","format":"time"}},"required":["departure_time"]}`)}}, nil},
		"other values":    {[]servers.Tool{returns(tool("search", "Looks."), `{"properties":{"seat_class":{"enum":["a","b"]}}}`), {Name: "wake", Input: json.RawMessage(`{"type":"object","properties":{"seat_class":{"enum":["c"]}},"required":["seat_class"]}`)}}, nil},
	} {
		g := graph.New([]servers.Server{server("s", tt.tools...)}, nil)
		g.AddTypes()
		if got := edges(g); !slices.Equal(got, tt.edges) {
			t.Errorf("%s: %v, want %v", name, got, tt.edges)
		}
		for _, e := range g.Edges() {
			if len(e.Why) != e.Typed || e.Typed != e.Weight {
				t.Errorf("%s: %+v", name, e)
			}
		}
		before := edges(g)
		if g.AddTypes(); !slices.Equal(edges(g), before) {
			t.Errorf("%s: again it is %v", name, edges(g))
		}
	}
}

// What many tools give is nobody's in particular.
func TestAddTypesCommon(t *testing.T) {
	var tools []servers.Tool
	for i := range 10 {
		tools = append(tools, returns(tool(fmt.Sprintf("do_%c", 'a'+i), "Does."), `{"properties":{"session_id":{"type":"string"}}}`))
	}
	tools = append(tools, tool("end", "Ends.", "session_id"))
	g := graph.New([]servers.Server{server("s", tools...)}, nil)
	if g.AddTypes(); len(g.Edges()) > 0 {
		t.Errorf("%v", edges(g))
	}
}

func TestAddTypesAcross(t *testing.T) {
	two := []servers.Server{server("a", tool("find_places", "Finds.")), server("b", tool("forecast", "Tells.", "place_id"))}
	g := graph.New(two, nil)
	if g.AddTypes(); len(g.Edges()) > 0 {
		t.Errorf("%v", edges(g))
	}
	g = graph.New(two, &graph.Options{Across: true})
	g.AddTypes()
	g.AddChain([]graph.Node{{Server: "a", Tool: "find_places"}, {Server: "b", Tool: "forecast"}})
	if e := g.Edges(); len(e) != 1 || e[0].Weight != 2 || e[0].Proposed != 1 || e[0].Why[0] != "forecast needs place_id; find_places gives place, by its name" {
		t.Errorf("%+v", e)
	}
}

// A schema that refers to itself in many ways is read in bounded time.
func TestAddTypesBounded(t *testing.T) {
	var branches []string
	for range 50 {
		branches = append(branches, `{"$ref":"#/$defs/A"}`)
	}
	out := `{"$ref":"#/$defs/A","$defs":{"A":{"anyOf":[` + strings.Join(branches, ",") + `],"items":{"$ref":"#/$defs/A"},"properties":{"child":{"$ref":"#/$defs/A"},"order_id":{"type":"string"}}}}}`
	g := graph.New([]servers.Server{server("s", returns(tool("search", "Looks."), out), tool("get", "Reads.", "order_id"))}, nil)
	g.AddTypes()
}

// Of keeps a server's own tools and edges, and their weights.
func TestOf(t *testing.T) {
	all := []servers.Server{{Name: "a", Tools: []servers.Tool{{Name: "x"}, {Name: "y"}}}, {Name: "b", Tools: []servers.Tool{{Name: "x"}, {Name: "z"}}}}
	g := graph.New(all, &graph.Options{Across: true})
	g.AddChain([]graph.Node{{Server: "a", Tool: "x"}, {Server: "b", Tool: "z"}, {Server: "b", Tool: "x"}, {Server: "b", Tool: "z"}})
	g.AddChain([]graph.Node{{Server: "b", Tool: "z"}, {Server: "b", Tool: "x"}})
	of := g.Of("b")
	if n := of.Nodes(); len(n) != 2 || n[0] != (graph.Node{Server: "b", Tool: "x"}) {
		t.Errorf("nodes = %v", n)
	}
	if e := of.Edges(); len(e) != 2 || e[0].From != 0 || e[0].To != 1 || e[0].Weight != 1 || e[1].Weight != 2 {
		t.Errorf("edges = %+v", e)
	}
	if len(g.Of("none").Nodes()) != 0 {
		t.Error("a server that is not there has tools")
	}
}

// Names, texts and schemas are strangers'.
func FuzzAddTypes(f *testing.F) {
	f.Add("findOrders", "Finds orders. Returns the order ID.", `{"type":"object","properties":{"order_id":{"type":"string","description":"ID of the order"}},"required":["order_id"]}`, `{"properties":{"orders":{"items":{"$ref":"#/$defs/A"}}},"$defs":{"A":{"anyOf":[{"$ref":"#/$defs/A"},true],"enum":[1]}}}`)
	f.Fuzz(func(t *testing.T, name, says, input, output string) {
		a := servers.Tool{Name: name, Description: says, Input: json.RawMessage(input), Output: json.RawMessage(output)}
		b := a
		b.Name += "_of"
		g := graph.New([]servers.Server{server("s", a, b)}, nil)
		g.AddTypes()
		wellFormed(t, g.SVG())
	})
}
