// Package graph says which tool can follow which, and walks there (ASTRA §2.1.2).
//
// A [Graph] has a node for each tool of some servers. An edge comes from chains that
// somebody proposed ([Graph.AddChain]), or from types: what one tool returns is what another
// one asks for ([Graph.AddTypes]). Its weight counts how often it was said. [Graph.Walk]
// draws chains of tools by those weights, from a seed and within a budget.
package graph
