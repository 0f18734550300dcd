package main

import (
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra/synth/graph"
	"github.com/astra-arenas/astra/synth/servers"
)

// A graphing draws the graph of a collection, and walks there.
type graphing struct {
	*app
	across            bool
	servers           []string
	svg, dot, mermaid string // files
	walks             int
	walk              graph.Walks
}

func (a *app) synthGraphCommand() *cobra.Command {
	gr := &graphing{app: a}
	cmd := &cobra.Command{Use: "graph DIR", Short: "Draw which tools can follow which, and walk there", Args: args(1, 1, "what astra synth tools import wrote: a directory, or its servers.jsonl"),
		Long: `Joins the tools of a collection: by the chains that its documents bring, and by types, where
what one tool returns is a required argument of another. Without --across, edges stay inside
a server. Nobody is asked. An unknown tool in a chain breaks it, and is told.

--svg is a drawing for a browser: point at a line to see why it is there. --dot and --mermaid
are for other tools. --walks draws chains of --min to --max tools by the weights of edges,
each once; the same --seed draws the same.`,
		Example: `  astra synth graph tools --svg tools.svg
  astra synth graph tools --server files --server weather --across --mermaid tools.mmd
  astra synth graph tools --walks 20 --acyclic --seed 7`}
	flags := cmd.Flags()
	flags.BoolVar(&gr.across, "across", false, "join tools of different servers too")
	flags.StringSliceVar(&gr.servers, "server", nil, "`NAME` of a server that is taken (repeatable; default all)")
	flags.StringVar(&gr.svg, "svg", "", "`FILE` for the drawing")
	flags.StringVar(&gr.dot, "dot", "", "`FILE` for the graph in Graphviz's language")
	flags.StringVar(&gr.mermaid, "mermaid", "", "`FILE` for the graph as a Mermaid flowchart")
	flags.IntVar(&gr.walks, "walks", 0, "how many chains to draw")
	flags.IntVar(&gr.walk.Min, "min", 2, "tools of a chain at least")
	flags.IntVar(&gr.walk.Max, "max", 5, "tools of a chain at most")
	flags.BoolVar(&gr.walk.Acyclic, "acyclic", false, "no tool twice in a chain")
	flags.Int64Var(&gr.walk.Seed, "seed", 0, "`SEED` of what is drawn")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return gr.run(args[0]) }
	return a.wantsJSON(cmd)
}

// graphed is what is told of a graph as JSON.
type graphed struct {
	Nodes  []graph.Node   `json:"nodes"`
	Edges  []graph.Edge   `json:"edges"`
	Broken []string       `json:"broken"` // unknown tools of chains
	Walks  [][]graph.Node `json:"walks,omitempty"`
	Steps  int            `json:"steps,omitempty"` // drawn for the walks
}

func (gr *graphing) run(path string) error {
	if gr.walks < 0 || gr.walks > 1_000_000 || gr.walk.Min < 2 || gr.walk.Max < gr.walk.Min || gr.walk.Max > 64 {
		return &problem{err: errors.New("--walks wants up to 1000000, --min and --max 2 to 64"), code: 2}
	}
	all, err := gr.read(path)
	if err != nil {
		return err
	}
	g := graph.New(all, &graph.Options{Across: gr.across})
	told := graphed{Nodes: g.Nodes(), Broken: append([]string{}, g.AddDocumented()...)}
	g.AddTypes()
	told.Edges = g.Edges()
	if gr.walks > 0 {
		gr.walk.Count = gr.walks
		told.Walks, told.Steps = g.Walk(gr.walk)
	}
	if err := gr.draw(g); err != nil {
		return err
	}
	if gr.json {
		return gr.printJSON(told)
	}
	return gr.tell(&told)
}

// read reads the servers that are asked for.
func (gr *graphing) read(path string) ([]servers.Server, error) {
	all, err := readCollection(path)
	if err != nil || gr.servers == nil {
		return all, err
	}
	for _, name := range gr.servers {
		if !slices.ContainsFunc(all, func(s servers.Server) bool { return s.Name == name }) {
			return nil, failf("`astra synth tools show "+path+"` lists them.", "there is no server %q", plain(name))
		}
	}
	return slices.DeleteFunc(all, func(s servers.Server) bool { return !slices.Contains(gr.servers, s.Name) }), nil
}

func (gr *graphing) draw(g *graph.Graph) error {
	for _, d := range []struct {
		path string
		draw func() []byte
	}{{gr.svg, g.SVG}, {gr.dot, g.DOT}, {gr.mermaid, g.Mermaid}} {
		if d.path == "" {
			continue
		}
		if err := os.WriteFile(d.path, d.draw(), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// tell lists the walks where some were asked for, else the edges.
func (gr *graphing) tell(told *graphed) error {
	for i, name := range told.Broken {
		if i == 20 {
			gr.note("and %d more", len(told.Broken)-i)
			break
		}
		gr.note("%s is no tool that a chain can lead to: the chain is broken there", plain(name))
	}
	t := newTable("from", "to", "weight", "why")
	if gr.walks > 0 {
		t = newTable("server", "chain")
		for _, chain := range told.Walks {
			t.row(chain[0].Server, gr.chain(chain))
		}
	} else if gr.svg+gr.dot+gr.mermaid == "" {
		for _, e := range told.Edges {
			t.row(told.Nodes[e.From], told.Nodes[e.To], e.Weight, reasonOf(e))
		}
	}
	if len(t.rows) > 1 {
		if err := t.write(gr.stdout); err != nil {
			return err
		}
	}
	gr.note("%s, %s", plural(len(told.Nodes), "tool"), plural(len(told.Edges), "edge"))
	if gr.walks > 0 {
		gr.note("%s for %s", plural(len(told.Walks), "chain"), plural(told.Steps, "step"))
	}
	return nil
}

func (gr *graphing) chain(chain []graph.Node) string {
	text := ""
	for i, n := range chain {
		name := n.Tool
		if gr.across {
			name = n.String()
		}
		if i > 0 {
			text += " → "
		}
		text += name
	}
	return text
}

// reasonOf is the first reason of an edge.
func reasonOf(e graph.Edge) string {
	if len(e.Why) == 0 {
		return "chains"
	}
	return clip(e.Why[0], 120)
}
