package graph

// Walks adjusts Walk. A zero field means the default.
type Walks struct {
	Seed    int64
	Min     int  // tools of a chain at least; default 2
	Max     int  // tools of a chain at most; default 5
	Count   int  // chains wanted; default 100
	Acyclic bool // no tool twice in a chain
	Budget  int  // steps drawn at most; default 200 for each chain wanted
}

// Walk draws chains by the weights of edges: no two alike, and the same for the same graph
// and Walks. spent is how many steps were drawn, at most Budget.
func (g *Graph) Walk(w Walks) (chains [][]Node, spent int) { return nil, 0 }
